import test from "ava";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type { Owing } from "./copy-rows.ts";
import { IDENTITY, openStore, temporaryFolder } from "./folder.fixture.ts";
import { StateFolder } from "./state-folder.ts";

function owing(object: string, operations: readonly string[] = []): () => Owing {
  const properties = { contentType: "text/plain", metadata: {} };
  return () => ({
    object,
    intent: { base: "absent", properties, operations: [...operations] },
    replacing: "whole",
  });
}

test("RULES 11: of a name the state acknowledged last is owed, whatever is left of others", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const copy = store.create("f");
  await copy.write(0, Buffer.from("one"));
  const first = await store.owed.recordAside(copy, owing("f"), undefined);
  await copy.write(3, Buffer.from(" two"));
  const second = await store.owed.recordAside(copy, owing("f"), undefined); // as if nobody knew of the first any more
  t.deepEqual(
    (await store.owed.list()).map(({ id }) => id),
    [second?.id],
  );
  t.not(first?.id, second?.id);
  await copy.write(7, Buffer.from(" three"));
  await store.owed.record(copy, owing("f"), second?.id);
  const [entry, ...others] = await store.owed.list();
  t.is(entry?.id, copy.id);
  t.deepEqual(others, []);
  t.is(await readFile(entry?.path ?? "", "utf8"), "one two three");
  await close();
});

test("RULES 11: what was acknowledged stays as it was while the file is written to", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const copy = store.create("f");
  await copy.write(0, Buffer.from("acknowledged"));
  await store.owed.recordAside(copy, owing("f"), undefined);
  await copy.write(0, Buffer.from("ACK"));
  await copy.truncate(5);
  const [entry] = await store.owed.list();
  t.is(await readFile(entry?.path ?? "", "utf8"), "acknowledged");
  await close();
});

test("a rename takes what was owed under the new name away, and nothing else", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const [one, other, third] = ["one", "other", "third"].map((object) => store.create(object));
  for (const [copy, object] of [
    [one, "one"],
    [other, "other"],
    [third, "third"],
  ] as const)
    if (copy !== undefined) await store.owed.record(copy, owing(object), undefined);
  await store.owed.rename(one?.id ?? "", {
    object: "other",
    base: 7n,
    operations: ["m:1"],
    replacing: "whole",
  });
  const listed = (await store.owed.list()).map(({ id, object, intent }) => [id, object, intent.base]);
  t.deepEqual(
    listed.toSorted(([, a], [, b]) => String(a).localeCompare(String(b))),
    [
      [one?.id, "other", 7n],
      [third?.id, "third", "absent"],
    ],
  );
  await close();
});

test("RULES 18: a rename that is done once more changes nothing", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const copy = store.create("one");
  await store.owed.record(copy, owing("one"), undefined);
  for (const _ of [1, 2])
    await store.owed.rename(copy.id, { object: "other", base: 7n, operations: [], replacing: "whole" });
  t.deepEqual(
    (await store.owed.list()).map(({ id, object }) => [id, object]),
    [[copy.id, "other"]],
  );
  await close();
});

test("RULES 4, 11: what a later state replaces is noted with its try, since an earlier one may have arrived", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const copy = store.create("f");
  await store.owed.record(copy, () => ({ ...owing("f", ["m:1"])(), replacing: "exclusive" }), undefined);
  await store.owed.noteTry("f", { base: 7n, operations: ["m:2"], exclusive: false });
  const [row] = await store.owed.list();
  t.like(row, { intent: { base: 7n, operations: ["m:2"] }, replacing: "edited" });
  await close();
});

test("RULES 4, 11: an upload that begins while a newer state is acknowledged is known beside that", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const copy = store.create("f");
  await copy.write(0, Buffer.from("one"));
  await store.owed.recordAside(copy, owing("f"), undefined);
  const tries: string[] = [];
  const note = async (id: string): Promise<void> => {
    tries.push(id);
    await store.owed.noteTry("f", { base: "absent", operations: tries, exclusive: false });
  };
  await copy.write(3, Buffer.from(" two"));
  const recorded = store.owed.record(copy, owing("f", tries), undefined);
  await note("m:1"); // before the row is written
  const operations = async () => (await store.owed.list()).flatMap(({ intent }) => intent.operations);
  await recorded;
  t.deepEqual(await operations(), ["m:1"]);
  const written = Promise.withResolvers<void>();
  await copy.write(7, Buffer.from(" three"));
  const again = store.owed.record(
    copy,
    () => {
      written.resolve();
      return owing("f", ["m:1"])();
    },
    undefined,
  );
  await written.promise;
  await note("m:2"); // after
  await again;
  t.deepEqual(await operations(), ["m:1", "m:2"]);
  await close();
});

test("a folder in memory goes with the machine", async (t) => {
  const folder = await mkdtemp("/dev/shm/sidemount-state-");
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const state = await StateFolder.open(folder, IDENTITY);
  t.true(state.isPassing);
  await state.close();
});
