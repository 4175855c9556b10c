import test, { type ExecutionContext } from "ava";
import { setTimeout as delay } from "node:timers/promises";

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

test.serial("a folder is renamed with everything in it, which stays the same version", async (t) => {
  const session = await open(t);
  const before = (await session.bucket.stat("a/b/x")).value;
  await session.bucket.folders.rename("a/", "z/");
  t.deepEqual((await session.bucket.stat("z/b/x")).value, { ...before, name: "z/b/x" });
  t.deepEqual(await names(session), ["z/b/x"]);
});

test.serial("what is not there, or goes where a folder is, is refused and nothing moves", async (t) => {
  const session = await open(t);
  const { folders } = session.bucket;
  await folders.make("taken/");
  await fails(t, folders.rename("no/", "z/"), "not-found");
  await fails(t, folders.rename("a/", "taken/"), "already-exists");
  await fails(t, folders.rename("a/", "no/parent/"), "not-found");
  await fails(t, folders.rename("a/", "a/b/c/"), "invalid");
  t.deepEqual(await names(session), ["a/b/x"]);
});

test.serial("a rename that takes time is waited for, and can be waited for again", async (t) => {
  const session = await open(t);
  await gcs().folderRenames({ takesMs: 500 });
  const begun: string[] = [];
  const started = Date.now();
  await session.bucket.folders.rename("a/", "z/", (operation) => void begun.push(operation));
  t.true(Date.now() - started >= 450);
  t.deepEqual(await names(session), ["z/b/x"]);
  t.is(begun.length, 1);
  await session.bucket.folders.renamed(begun[0] as string);
  await fails(t, session.bucket.folders.renamed("nonsense"), "not-found");
});

test.serial("who writes below a folder that is being renamed waits until it is over", async (t) => {
  const session = await open(t);
  const { bucket } = session;
  await gcs().folderRenames({ takesMs: 700 });
  const renaming = bucket.folders.rename("a/", "z/");
  await delay(200);
  const source = bytesSource(Buffer.from("y"));
  await bucket.insert("z/b/y", source, "absent", {}, { operationId: "m:2" });
  await renaming;
  t.deepEqual(await names(session), ["z/b/x", "z/b/y"]);
});

test.serial("a rename that the service gives up has moved nothing, and says why", async (t) => {
  const session = await open(t);
  await gcs().folderRenames({ fails: true, takesMs: 100 });
  await fails(t, session.bucket.folders.rename("a/", "z/"), "unavailable");
  t.deepEqual(await names(session), ["a/b/x"]);
});

for (const takesMs of [0, 600]) {
  const how = takesMs === 0 ? "one that is done at once" : "one that takes time";
  test.serial(`a rename whose answer was lost is known by the folder: ${how}`, async (t) => {
    const session = await open(t);
    await gcs().folderRenames({ takesMs });
    await session.faults({ method: "storage.folders.rename", action: "lost-answer", count: 1 });
    await session.bucket.folders.rename("a/", "z/");
    t.deepEqual(await names(session), ["z/b/x"]);
  });
}

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
  await fails(t, bucketAt(t, service.url).folders.rename("a/", "z/"), "not-found");
});

test.serial("trouble with questions about a rename does not end it", async (t) => {
  const session = await open(t);
  await gcs().folderRenames({ takesMs: 300 });
  await session.faults({ method: "storage.buckets.operations.get", action: "return-503", count: 3 });
  await session.bucket.folders.rename("a/", "z/");
  t.deepEqual(await names(session), ["z/b/x"]);
});
