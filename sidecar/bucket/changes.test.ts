// Patch, remove, compose, list: against our own server.

import test from "ava";

import { isBucketError } from "./errors.ts";
import { sharedLocalGcs, type Session } from "./local-gcs.fixture.ts";
import { bytesSource, collect } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

async function write({ bucket }: Session, name: string, text = name, metadata: Record<string, string> = {}) {
  const properties = { contentType: "text/plain", metadata };
  const options = { operationId: `m:${name}` };
  return (await bucket.insert(name, bytesSource(Buffer.from(text)), "absent", properties, options)).value;
}

test("a patch changes the keys it names, deletes those it nulls and keeps the others", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a", "a", { keep: "1", change: "2", drop: "3" });
  const { value } = await session.bucket.patch("a", a, {
    metadata: { change: "x", drop: null },
    contentType: "image/png",
  });
  t.deepEqual(value.metadata, { keep: "1", change: "x", "sidemount-op": "m:a" });
  t.is(value.contentType, "image/png");
  t.is(value.generation, a.generation);
  t.true(value.metageneration > a.metageneration);
  const stale = await t.throwsAsync(session.bucket.patch("a", a, { metadata: { change: "y" } }));
  t.true(isBucketError(stale, "precondition-failed"));
  const missing = await t.throwsAsync(session.bucket.patch("b", a, { metadata: {} }));
  t.true(isBucketError(missing, "not-found"));
});

test("a patch whose answer was lost is the success it was", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a", "a", { drop: "3" });
  await session.faults({ method: "storage.objects.patch", action: "lost-answer", count: 1 });
  const { value } = await session.bucket.patch("a", a, { metadata: { mode: "644", drop: null } });
  t.is(value.metadata["mode"], "644");
  t.is(value.metageneration, a.metageneration + 1n);
});

test("a patch that someone else got ahead of is refused even if an answer was lost", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  await session.bucket.patch("a", a, { metadata: { mode: "600" } });
  await session.faults({ method: "storage.objects.patch", action: "return-503", count: 1 });
  const error = await t.throwsAsync(session.bucket.patch("a", a, { metadata: { mode: "644" } }));
  t.true(isBucketError(error, "precondition-failed"));
});

test("removing tells whether the object was there", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  t.true(await session.bucket.remove("a", a.generation));
  t.false(await session.bucket.remove("a", a.generation));
});

test("removing an object whose answer was lost tells that it was there", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  await session.faults({ method: "storage.objects.delete", action: "lost-answer", count: 1 });
  t.true(await session.bucket.remove("a", a.generation));
});

test("another version than the one to remove stays", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  const error = await t.throwsAsync(session.bucket.remove("a", a.generation - 1n));
  t.true(isBucketError(error, "precondition-failed"));
  t.is((await session.bucket.stat("a")).value?.generation, a.generation);
});

test("objects are put together in order, also onto one of them", async (t) => {
  const session = await gcs().session(t);
  const log = await write(session, "log", "one ");
  const tail = await write(session, "tail", "two");
  const properties = { contentType: "text/plain", metadata: { mode: "644" } };
  const { value } = await session.bucket.compose("log", [log, tail], log.generation, properties, {
    operationId: "m:9",
  });
  t.is(String(await collect(session.bucket.read(value))), "one two");
  t.deepEqual(value.metadata, { mode: "644", "sidemount-op": "m:9" });
  t.is(value.contentType, "text/plain");
  const again = await t.throwsAsync(
    session.bucket.compose("log", [log, tail], log.generation, properties, { operationId: "m:10" }),
  );
  t.true(isBucketError(again, "precondition-failed", "not-found"));
});

test("RULES 4: a compose whose answer was lost is the success it was, and is not done twice", async (t) => {
  const session = await gcs().session(t);
  const log = await write(session, "log", "one ");
  const tail = await write(session, "tail", "two");
  await session.faults({ method: "storage.objects.compose", action: "lost-answer", count: 1 });
  const { value } = await session.bucket.compose(
    "log",
    [log, tail],
    log.generation,
    {},
    { operationId: "m:9" },
  );
  t.is(String(await collect(session.bucket.read(value))), "one two");
});

test("a listing comes in pages, in byte order, with folders collapsed and their placeholders as items", async (t) => {
  const session = await gcs().session(t);
  for (const name of ["a", "dir/", "dir/x", "dir2/y", "z\u{1F98A}", "z\uFF5E"]) await write(session, name);
  const { bucket } = session;
  const all = await bucket.list({ prefix: "", delimiter: "/" });
  t.deepEqual(
    all.objects.map(({ name }) => name),
    ["a", "dir/", "z\uFF5E", "z\u{1F98A}"],
  );
  t.deepEqual(all.prefixes, ["dir/", "dir2/"]);
  t.is(all.nextPageToken, undefined);
  t.is(all.objects[0]?.metadata["sidemount-op"], "m:a");

  const names: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await bucket.list({
      prefix: "",
      pageSize: 2,
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    names.push(...page.objects.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
  t.deepEqual(names, ["a", "dir/", "dir/x", "dir2/y", "z\uFF5E", "z\u{1F98A}"]);

  const some = await bucket.list({ prefix: "", startOffset: "dir/", endOffset: "dir0" });
  t.deepEqual(
    some.objects.map(({ name }) => name),
    ["dir/", "dir/x"],
  );
});

test("requests are counted by price class, bytes both ways", async (t) => {
  const session = await gcs().session(t);
  const { bucket } = session;
  const a = await write(session, "a", "some bytes");
  await bucket.stat("a");
  await collect(bucket.read(a));
  await bucket.list({ prefix: "" });
  await bucket.remove("a", a.generation);
  t.deepEqual(bucket.measure.byClass, { A: 2, B: 2, free: 1 });
  t.is(bucket.measure.requests.list, 1);
  t.true(bucket.measure.bytesSent > 10);
  t.true(bucket.measure.bytesReceived > 10);
});
