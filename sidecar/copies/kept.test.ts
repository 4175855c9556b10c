import test, { type ExecutionContext } from "ava";
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { MemoryBucket } from "./bucket.fixture.ts";
import { completeFile, IncompleteError, missingRanges } from "./complete.ts";
import type { Intent } from "./copy-rows.ts";
import { openStore, temporaryFolder, type OpenStore } from "./folder.fixture.ts";
import type { KeptCopy } from "./kept.ts";

const INTENT: Intent = { base: "absent", properties: { contentType: "text/plain" }, operations: ["m:1"] };

async function failed({ store }: OpenStore, object: string, bytes: Buffer): Promise<void> {
  const copy = store.create(object);
  await copy.write(0, bytes);
  await store.keepFailed(copy, object, "insert: 403", INTENT);
}

async function names({ store }: OpenStore): Promise<string[]> {
  return (await store.kept.list()).map(({ object }) => object);
}

async function superseded(open: OpenStore, object: string): Promise<void> {
  open.store.kept.superseded(object);
  await open.background.idle();
}

test("what an upload was to do outlives the run", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  await failed(first, "f", Buffer.from("bytes"));
  await first.close();
  const second = await openStore(directory);
  const [entry] = await second.store.kept.list();
  t.like(entry, { object: "f", state: "failed", size: 5, reason: "insert: 403", present: undefined });
  t.deepEqual(entry?.intent, INTENT);
  t.deepEqual(missingRanges(entry as KeptCopy), []);
  await second.close();
});

test("RULES 10: beyond its share superseded bytes go, the oldest first, and others never", async (t) => {
  // A quarter of the cache's size is the share.
  const open = await openStore(await temporaryFolder(t), { cacheSizeBytes: 4 * 300_000 });
  for (const name of ["one", "two", "three"]) {
    await failed(open, name, Buffer.alloc(140_000));
    await delay(2);
  }
  t.deepEqual(await names(open), ["one", "two", "three"], "too much, but nobody has superseded any of it");
  await superseded(open, "three");
  t.deepEqual(await names(open), ["one", "two"]);
  await failed(open, "four", Buffer.alloc(1000));
  await superseded(open, "four");
  t.deepEqual(await names(open), ["one", "two", "four"], "within the share it may stay");
  const [entry] = (await open.store.kept.list()).slice(-1);
  t.true((entry?.supersededMs ?? 0) > 0);
  await open.close();
  t.deepEqual(open.failures, []);
});

test("what is kept after a success under the same name is not superseded by that", async (t) => {
  const open = await openStore(await temporaryFolder(t));
  await superseded(open, "f");
  await delay(5);
  await failed(open, "f", Buffer.from("newer"));
  const [entry] = await open.store.kept.list();
  t.is(entry?.supersededMs, undefined);
  await open.close();
});

test("kept bytes take their space from the cache", async (t) => {
  const memory = new MemoryBucket();
  const open = await openStore(await temporaryFolder(t), { cacheSizeBytes: 400_000 });
  const bytes = Buffer.alloc(150_000, 1);
  for (const name of ["one", "two"]) {
    const version = memory.put(name, bytes);
    const copy = await open.store.obtain(version);
    await copy.fill(0, bytes);
    await open.store.keep(copy, version);
  }
  t.true(open.store.cache.usedBytes >= 300_000);
  await failed(open, "f", Buffer.alloc(200_000, 1));
  t.true(open.store.cache.limitBytes <= 200_000);
  t.true(open.store.cache.usedBytes <= open.store.cache.limitBytes);
  await open.close();
});

test("the rest of a partial file comes from its version, but what was cut off and grown again is zeros", async (t) => {
  const memory = new MemoryBucket();
  const open = await openStore(await temporaryFolder(t));
  const bytes = Buffer.alloc(200_000, "a");
  const version = memory.put("f", bytes);
  const copy = await open.store.obtain(version);
  await open.store.withdraw(copy, "f");
  await copy.write(50_000, Buffer.from("here"));
  await copy.truncate(150_000);
  await copy.truncate(180_000);
  await open.store.keepFailed(copy, "f", "403", INTENT);
  const [entry] = (await open.store.kept.list()) as [KeptCopy];
  t.deepEqual(missingRanges(entry), [
    { start: 0, end: 50_000 },
    { start: 50_004, end: 150_000 },
  ]);
  const whole = await completeFile(entry, memory.bucket, `${entry.path}.whole`);
  const expected = Buffer.concat([bytes.subarray(0, 150_000), Buffer.alloc(30_000)]);
  expected.write("here", 50_000);
  t.deepEqual(fs.readFileSync(whole), expected);
  memory.put("f", Buffer.from("another version"));
  const error = await t.throwsAsync(completeFile(entry, memory.bucket, `${entry.path}.whole`), {
    instanceOf: IncompleteError,
  });
  t.regex(error?.message ?? "", /the bytes 0-49999, 50004-149999 are missing, and the bucket no longer has/);
  t.false(fs.existsSync(`${entry.path}.whole`));
  await open.close();
});

/** A copy of 200,000 bytes of which nothing is here, changed in some way when the run is killed. */
async function killedWhile(
  t: ExecutionContext,
  change: (open: OpenStore, copy: ReturnType<OpenStore["store"]["separate"]>) => Promise<void>,
): Promise<{ entry: KeptCopy | undefined; memory: MemoryBucket }> {
  const memory = new MemoryBucket();
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  const copy = await first.store.obtain(memory.put("f", Buffer.alloc(200_000, "a")));
  await first.store.withdraw(copy, "f");
  await change(first, copy);
  await first.close();
  await delay(20);
  const second = await openStore(directory);
  const [entry] = await second.store.kept.list();
  t.teardown(() => second.close());
  return { entry, memory };
}

test("after a kill it is known whether a partial file was only appended to", async (t) => {
  const { entry, memory } = await killedWhile(t, (_, copy) => copy.write(200_000, Buffer.from("end"), true));
  t.like(entry, { state: "unfinished", size: 200_003, changed: "appended" });
  const whole = await completeFile(entry as KeptCopy, memory.bucket, `${entry?.path}.whole`);
  t.is(fs.readFileSync(whole, "utf8"), `${"a".repeat(200_000)}end`);
});

test("a partial file that was changed elsewhere is not made up after a kill", async (t) => {
  const { entry, memory } = await killedWhile(t, async (_, copy) => {
    await copy.write(200_000, Buffer.from("end"), true);
    await copy.write(7, Buffer.from("placed"));
  });
  t.like(entry, { state: "unfinished", changed: "anywhere" });
  t.is(missingRanges(entry as KeptCopy), undefined);
  await t.throwsAsync(completeFile(entry as KeptCopy, memory.bucket, `${entry?.path}.whole`), {
    message: /only parts are here, and which bytes of them are new is not known; what there is lies in/,
  });
});

test("a partial file that was uploaded and not changed since is not reported after a kill", async (t) => {
  const { entry } = await killedWhile(t, async ({ store }, copy) => {
    await copy.write(200_000, Buffer.from("end"), true);
    void store.uploaded(copy, "f");
    await delay(20);
    await copy.fill(0, Buffer.alloc(1000, "a")); // somebody reads it
  });
  t.is(entry, undefined);
});

test("a partial file that was changed after its upload is reported after a kill", async (t) => {
  const { entry } = await killedWhile(t, async ({ store }, copy) => {
    await copy.write(200_000, Buffer.from("end"), true);
    void store.uploaded(copy, "f");
    await copy.write(200_003, Buffer.from("more"), true);
  });
  t.like(entry, { state: "unfinished", size: 200_007, changed: "appended" });
});

test("a file whose name was taken away is not reported after a kill", async (t) => {
  const { entry } = await killedWhile(t, async ({ store, background }, copy) => {
    await copy.write(0, Buffer.from("x"));
    store.unlinked(copy);
    await background.idle();
    await copy.write(1, Buffer.from("y"));
  });
  t.is(entry, undefined);
});
