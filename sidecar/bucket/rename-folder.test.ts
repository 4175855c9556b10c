import test, { type ExecutionContext } from "ava";
import { setTimeout as delay } from "node:timers/promises";

import type { FolderInfo, ObjectInfo } from "./bucket.ts";
import { BucketError, type BucketErrorKind } from "./errors.ts";
import { HIERARCHICAL, sharedLocalGcs, type Session } from "./local-gcs.fixture.ts";
import { bucketAt, bytesSource, refuse, sendJson, serve } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

test.serial.afterEach(() => gcs().folderRenames({}));

/** A bucket with the object `a/b/x`. */
async function open(t: ExecutionContext): Promise<Session> {
  const session = await gcs().session(t, {}, HIERARCHICAL);
  const source = bytesSource(Buffer.from("x"));
  await session.bucket.insert("a/b/x", source, "absent", {}, { operationId: "m:1" });
  return session;
}

async function fails(t: ExecutionContext, call: Promise<unknown>, kind: BucketErrorKind): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: BucketError });
  t.is(error?.kind, kind, String(error));
}

async function names({ bucket }: Session): Promise<string[]> {
  return (await bucket.list({ prefix: "" })).objects.map(({ name }) => name);
}

/** Renames a folder as it is now, and waits for it. */
async function rename({ bucket }: Session, from: string, to: string): Promise<void> {
  const { value: folder } = await bucket.folders.stat(from);
  const { operation } = await bucket.folders.rename(folder ?? NOWHERE, to);
  if (operation !== undefined && !(await bucket.folders.renamed(operation, 10_000)))
    throw new Error("so long");
}

const NOWHERE: FolderInfo = {
  name: "no/",
  metageneration: 1n,
  createdMs: 0,
  updatedMs: 0,
  renaming: undefined,
};

test.serial("a folder is renamed with everything in it, which stays the same version", async (t) => {
  const session = await open(t);
  const before = (await session.bucket.stat("a/b/x")).value;
  await rename(session, "a/", "z/");
  t.deepEqual((await session.bucket.stat("z/b/x")).value, { ...before, name: "z/b/x" } as ObjectInfo);
  t.deepEqual(await names(session), ["z/b/x"]);
});

test.serial("what is not there, or goes where a folder is, is refused and nothing moves", async (t) => {
  const session = await open(t);
  await session.bucket.folders.make("taken/");
  await fails(t, rename(session, "no/", "z/"), "not-found");
  await fails(t, rename(session, "a/", "taken/"), "already-exists");
  await fails(t, rename(session, "a/", "no/parent/"), "not-found");
  await fails(t, rename(session, "a/", "a/b/c/"), "invalid");
  t.deepEqual(await names(session), ["a/b/x"]);
});

test.serial("a rename that takes time is waited for as long as one likes, and again", async (t) => {
  const session = await open(t);
  const { folders } = session.bucket;
  const { value: folder } = await folders.stat("a/");
  await gcs().folderRenames({ takesMs: 500 });
  const { operation = "" } = await folders.rename(folder as FolderInfo, "z/");
  t.not(operation, "");
  t.like((await folders.stat("a/")).value, { renaming: operation });
  t.false(await folders.renamed(operation, 0));
  t.deepEqual(await names(session), ["a/b/x"]);
  t.true(await folders.renamed(operation, 10_000));
  t.deepEqual(await names(session), ["z/b/x"]);
  t.true(await folders.renamed(operation, 0));
  await fails(t, folders.renamed("nonsense", 0), "not-found");
});

test.serial("who writes below a folder that is being renamed waits until it is over", async (t) => {
  const session = await open(t);
  const { bucket } = session;
  await gcs().folderRenames({ takesMs: 700 });
  const renaming = rename(session, "a/", "z/");
  await delay(200);
  const source = bytesSource(Buffer.from("y"));
  await bucket.insert("z/b/y", source, "absent", {}, { operationId: "m:2" });
  await renaming;
  t.deepEqual(await names(session), ["z/b/x", "z/b/y"]);
});

test.serial("a rename that the service gives up has moved nothing, and says why", async (t) => {
  const session = await open(t);
  for (const takesMs of [0, 100]) {
    await gcs().folderRenames({ fails: true, takesMs });
    await fails(t, rename(session, "a/", "z/"), "unavailable");
    t.deepEqual(await names(session), ["a/b/x"]);
  }
});

for (const takesMs of [0, 600]) {
  const how = takesMs === 0 ? "one that is done at once" : "one that takes time";
  test.serial(`a rename whose answer was lost is known by the folder: ${how}`, async (t) => {
    const session = await open(t);
    await gcs().folderRenames({ takesMs });
    await session.faults({ method: "storage.folders.rename", action: "lost-answer", count: 1 });
    await rename(session, "a/", "z/");
    t.deepEqual(await names(session), ["z/b/x"]);
  });
}

test.serial("a rename that is asked for again because nobody knows is known by the folder too", async (t) => {
  const session = await open(t);
  const { folders } = session.bucket;
  const folder = (await folders.stat("a/")).value as FolderInfo;
  await folders.rename(folder, "z/");
  await fails(t, folders.rename(folder, "z/"), "not-found");
  t.deepEqual(await folders.rename(folder, "z/", { uncertain: true }), { operation: undefined });
});

test.serial("a folder that is not the one that was to go there does not prove a lost answer", async (t) => {
  const folder = (name: string, createTime: string): object => ({
    name,
    metageneration: "1",
    createTime,
    updateTime: "2026-01-02T03:04:06.000Z",
  });
  let taken = false;
  const service = await serve(t, (request, response) => {
    const { method, url = "" } = request;
    if (method === "POST" && !taken) {
      taken = true; // by somebody else, while ours was on its way
      response.destroy();
    } else if (url.includes("renameTo") || (taken && url.endsWith("/a%2F"))) {
      refuse(response, 404, "notFound", "The folder does not exist.");
    } else {
      const [name, second] = url.endsWith("/z%2F") ? ["z/", "07"] : ["a/", "05"];
      sendJson(response, 200, folder(name as string, `2026-01-02T03:04:${second}.000Z`));
    }
  });
  const { folders } = bucketAt(t, service.url);
  const { value: seen } = await folders.stat("a/");
  await fails(t, folders.rename(seen as FolderInfo, "z/"), "not-found");
});

test.serial("trouble with questions about a rename does not end it", async (t) => {
  const session = await open(t);
  await gcs().folderRenames({ takesMs: 300 });
  await session.faults({ method: "storage.buckets.operations.get", action: "return-503", count: 3 });
  await rename(session, "a/", "z/");
  t.deepEqual(await names(session), ["z/b/x"]);
});
