import test, { type ExecutionContext } from "ava";

import { BucketError, isBucketError, type BucketErrorKind } from "./errors.ts";
import { HIERARCHICAL, sharedLocalGcs, type Session } from "./local-gcs.fixture.ts";
import { bucketAt, bytesSource, refuse, sendJson, serve } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

const open = (t: ExecutionContext, options = {}): Promise<Session> => gcs().session(t, options, HIERARCHICAL);

async function write({ bucket }: Session, name: string): Promise<void> {
  const source = bytesSource(Buffer.from(name));
  await bucket.insert(name, source, "absent", {}, { operationId: `m:${name}` });
}

async function fails(
  t: ExecutionContext,
  call: Promise<unknown>,
  kind: BucketErrorKind,
): Promise<BucketError> {
  const error = await t.throwsAsync(call, { instanceOf: BucketError });
  t.is(error?.kind, kind, String(error));
  return error as BucketError;
}

async function shown({ bucket }: Session, prefix = ""): Promise<readonly string[]> {
  return (await bucket.list({ prefix, delimiter: "/", folders: true })).prefixes;
}

async function asked(session: Session): Promise<string[]> {
  return (await session.requests()).map(({ method }) => method.replace(/^storage\.(buckets\.)?/, ""));
}

test("the layout tells a hierarchical bucket", async (t) => {
  t.true((await (await open(t)).bucket.check()).hierarchicalNamespace);
});

test("a folder is made once, looked at, shown empty, and removed", async (t) => {
  const session = await open(t);
  const { folders } = session.bucket;
  const { value: made } = await folders.make("a/");
  t.like(made, { name: "a/", metageneration: 1n, renaming: undefined });
  t.deepEqual((await folders.stat("a/")).value, made);
  await fails(t, folders.make("a/"), "already-exists");
  await fails(t, folders.make("no/such/"), "not-found");
  t.is((await folders.make("a/b/c/", { above: true })).value.name, "a/b/c/");
  for (const name of ["a/b/c/", "a/b/"]) t.true(await folders.remove(name));
  t.deepEqual(await shown(session), ["a/"]);
  t.true(await folders.remove("a/"));
  t.false(await folders.remove("a/"));
  t.is((await folders.stat("a/")).value, undefined);
  t.deepEqual(await shown(session), []);
});

test("a folder that something is in is not removed", async (t) => {
  const session = await open(t);
  await write(session, "a/b/x");
  await fails(t, session.bucket.folders.remove("a/"), "not-empty");
  await fails(t, session.bucket.folders.remove("a/b/"), "not-empty");
});

test("making a folder is one request, renaming it one, removing it one", async (t) => {
  const session = await open(t);
  const { folders } = session.bucket;
  await session.requests();
  const { value: made } = await folders.make("a/");
  await folders.rename(made, "b/");
  await folders.remove("b/");
  t.deepEqual(await asked(session), ["folders.insert", "folders.rename", "folders.delete"]);
});

test("on a flat bucket there is nothing of the kind", async (t) => {
  const { bucket } = await gcs().session(t);
  await fails(t, bucket.folders.make("a/"), "invalid");
  await fails(t, bucket.folders.stat("a/"), "invalid");
});

test("a missing bucket is not a missing folder", async (t) => {
  const { folders } = bucketAt(t, gcs().url, { bucket: "no-such-bucket" });
  await fails(t, folders.stat("a/"), "bucket-not-found");
  await fails(t, folders.make("a/"), "bucket-not-found");
});

test("RULES 5: who made a folder after a lost answer is not known, but for those who are alone", async (t) => {
  for (const soleWriter of [false, true]) {
    const session = await open(t, { soleWriter });
    const { folders } = session.bucket;
    await session.faults({ method: "storage.folders.insert", action: "lost-answer", count: 1 });
    if (soleWriter) t.is((await folders.make("a/")).value.name, "a/");
    else t.true((await fails(t, folders.make("a/"), "unavailable")).uncertain);
    t.not((await folders.stat("a/")).value, undefined);
    await fails(t, folders.make("a/"), "already-exists");
  }
});

test("a removal whose answer was lost has removed the folder", async (t) => {
  const session = await open(t);
  await session.bucket.folders.make("a/");
  await session.faults({ method: "storage.folders.delete", action: "lost-answer", count: 1 });
  t.true(await session.bucket.folders.remove("a/"));
});

test("folder calls are repeated while the service is not well", async (t) => {
  const session = await open(t);
  const { folders } = session.bucket;
  await session.faults(
    { method: "storage.folders.insert", action: "return-503", count: 1 },
    { method: "storage.folders.get", action: "return-429", count: 1 },
    { method: "storage.folders.rename", action: "return-503", count: 1 },
    { method: "storage.folders.delete", action: "return-reset-connection", count: 1 },
  );
  const { value: made } = await folders.make("a/");
  t.not((await folders.stat("a/")).value, undefined);
  await folders.rename(made, "b/");
  t.true(await folders.remove("b/"));
});

test("other words for what is in the way of a removal mean the same", async (t) => {
  for (const status of [409, 412]) {
    const service = await serve(t, (_, response) => refuse(response, status, "conflict", "Something else."));
    await fails(t, bucketAt(t, service.url).folders.remove("a/"), "not-empty");
  }
});

test("an answer that describes no folder is asked for again", async (t) => {
  const folder = {
    name: "a/",
    metageneration: "1",
    createTime: "2026-01-02T03:04:05.678Z",
    updateTime: "2026-01-02T03:04:06Z",
  };
  const service = await serve(t, (_, response, count) => sendJson(response, 200, count === 1 ? {} : folder));
  const { value } = await bucketAt(t, service.url).folders.stat("a/");
  t.deepEqual(value, {
    name: "a/",
    metageneration: 1n,
    createdMs: Date.parse(folder.createTime),
    updatedMs: Date.parse(folder.updateTime),
    renaming: undefined,
  });
  t.true(isBucketError(new BucketError("not-empty", ""), "not-empty"));
});
