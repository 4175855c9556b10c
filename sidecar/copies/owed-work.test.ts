import test from "ava";
import { MemoryBucket } from "./bucket.fixture.ts";
import { openStore, temporaryFolder } from "./folder.fixture.ts";
import { OwedWork } from "./owed-work.ts";

const memory = new MemoryBucket();
const rename = { source: "old%/", destination: "a/new/" };

test("RULES 34: what a renamed folder owes is owed under its new name, and nothing of its neighbours", async (t) => {
  const open = await openStore(await temporaryFolder(t));
  const owed = new OwedWork(open.state.database);
  await owed.oweRename(rename);
  for (const object of ["old%/deep/ü", "old%", "old%0", "older/x"]) {
    await owed.owePatch({ object, generation: 5n, metadata: { key: object } });
    await owed.oweRemoval({ name: object, generation: 5n });
  }
  await owed.folderRenamed(rename, true);
  const names = ["a/new/deep/ü", "old%", "old%0", "older/x"];
  t.deepEqual((await owed.patches()).map(({ object }) => object).sort(), names);
  t.deepEqual((await owed.removals()).map(({ name }) => name).sort(), names);
  t.deepEqual(await owed.renames(), []);
  await open.close();
});

const patch = (object: string, content?: string) => ({ object, generation: 5n, metadata: {}, content });

test("RULES 14: attributes that follow a rename are owed under both names until it is over", async (t) => {
  const open = await openStore(await temporaryFolder(t));
  const owed = new OwedWork(open.state.database);
  const names = async () =>
    (await owed.patches())
      .map(({ object, content }) => [object, content] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1));
  await owed.owePatch(patch("old%/x"));
  await owed.owePatch(patch("a/new/other"));
  await owed.oweRename(rename, [patch("a/new/x", "7:1")]);
  t.deepEqual(await names(), [
    ["a/new/other", undefined],
    ["a/new/x", "7:1"],
    ["old%/x", undefined],
  ]);
  await owed.renameUndone(rename, [patch("old%/x")]);
  t.deepEqual(await names(), [
    ["a/new/other", undefined],
    ["old%/x", undefined],
  ]);
  t.deepEqual(await owed.renames(), []);
  await owed.oweRename(rename, [patch("a/new/x", "7:1")]);
  await owed.oweRename(rename, [patch("a/new/gone", "8:2")]);
  await owed.renameSettled(rename, [patch("a/new/x")]);
  t.deepEqual(await names(), [
    ["a/new/other", undefined],
    ["a/new/x", undefined],
  ]);
  t.deepEqual(await owed.renames(), []);
  await open.close();
});

test("RULES 14: where the bucket renames folders, a new generation is known by what was to come", async (t) => {
  const open = await openStore(await temporaryFolder(t));
  const owed = new OwedWork(open.state.database);
  await owed.owePatch(patch("old%/x"));
  await owed.oweRename(rename, [patch("a/new/x", "7:1")]);
  await owed.folderRenamed(rename, false);
  t.deepEqual(
    (await owed.patches()).map(({ object, content }) => [object, content]),
    [["a/new/x", "7:1"]],
  );
  await open.close();
});

for (const same of [true, false]) {
  test(`RULES 34: copies of a renamed folder are ${same ? "good" : "of no use"} where what is in it ${same ? "stayed the versions it was" : "got new generations"}`, async (t) => {
    const directory = await temporaryFolder(t);
    const first = await openStore(directory);
    const version = memory.put("old%/deep/photo", Buffer.from("bytes"));
    const copy = await first.store.obtain(version);
    await copy.fill(0, Buffer.from("bytes"));
    await first.store.keep(copy, version);
    await new OwedWork(first.state.database).folderRenamed(rename, same);
    await first.close();
    const second = await openStore(directory);
    t.is((await second.store.obtain({ ...version, name: "a/new/deep/photo" })).whole, same);
    await second.close();
  });
}
