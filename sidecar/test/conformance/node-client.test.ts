import test, { type ExecutionContext } from "ava";
import { Storage, type File } from "@google-cloud/storage";
import { randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { startServer } from "./server.ts";

// Set in someone's shell it would be taken instead of `apiEndpoint`.
delete process.env["STORAGE_EMULATOR_HOST"];

async function session(t: ExecutionContext) {
  const { url } = await startServer(t);
  const storage = new Storage({ apiEndpoint: url, projectId: "test" });
  return { url, storage, bucket: storage.bucket("bkt") };
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return failure !== null && typeof failure === "object" && "code" in failure ? failure.code : undefined;
}

test("a file is saved in one request or in chunks, validated, and read back whole or in part", async (t) => {
  const { bucket } = await session(t);
  const bytes = randomBytes(3_000_000);
  await bucket.file("one").save(bytes, { resumable: false, validation: "md5" });
  await bucket.file("whole").save(bytes, { resumable: true });
  await bucket.file("chunks").save(bytes, { resumable: true, chunkSize: 1024 * 1024 });
  for (const name of ["one", "whole", "chunks"]) {
    const [read] = await bucket.file(name).download({ validation: "crc32c" });
    t.true(read.equals(bytes), name);
  }
  const part = await buffer(bucket.file("one").createReadStream({ start: 1_000_000, end: 1_000_009 }));
  t.true(part.equals(bytes.subarray(1_000_000, 1_000_010)));
  await bucket.file("empty").save("");
  t.is((await bucket.file("empty").download())[0].length, 0);
});

test("metadata is set with a file, changed, and cleared", async (t) => {
  const { bucket } = await session(t);
  const file = bucket.file("a/b ü.txt");
  await file.save("hello", { contentType: "text/plain", metadata: { metadata: { k: "v", gone: "x" } } });
  await file.setMetadata({ metadata: { gone: null, n: "1" } });
  const [metadata] = await file.getMetadata();
  t.like(metadata, { name: "a/b ü.txt", contentType: "text/plain", metadata: { k: "v", n: "1" } });
  t.is((metadata.metadata as Record<string, unknown>)["gone"], undefined);
});

test("preconditions of the client are obeyed", async (t) => {
  const { bucket } = await session(t);
  const save = (generation: number) =>
    bucket.file("x").save("1", { resumable: false, preconditionOpts: { ifGenerationMatch: generation } });
  await save(0);
  t.is(await codeOf(save(0)), 412);
  t.is(await codeOf(bucket.file("x").delete({ ifGenerationMatch: 7 })), 412);
  t.is(await codeOf(bucket.file("absent").getMetadata()), 404);
  t.is(await codeOf(bucket.file("absent").download()), 404);
});

test("files are listed by prefix, delimiter and page", async (t) => {
  const { bucket } = await session(t);
  for (const name of ["a/1", "a/2", "b/1", "c"]) await bucket.file(name).save("", { resumable: false });
  const names = (files: File[]) => files.map(({ name }) => name);
  t.deepEqual(names((await bucket.getFiles({ prefix: "a/" }))[0]), ["a/1", "a/2"]);
  const [page, next] = await bucket.getFiles({ maxResults: 3, autoPaginate: false });
  const [rest] = await bucket.getFiles({ ...next, autoPaginate: false });
  t.deepEqual([names(page), names(rest)], [["a/1", "a/2", "b/1"], ["c"]]);
  const [top, , answer] = await bucket.getFiles({ delimiter: "/", autoPaginate: false });
  t.deepEqual(names(top), ["c"]);
  t.deepEqual((answer as { prefixes: string[] }).prefixes, ["a/", "b/"]);
});

test("files are copied, moved, renamed at once, combined and deleted", async (t) => {
  const { bucket } = await session(t);
  await bucket.file("a").save("he", { resumable: false });
  await bucket.file("a").copy("b");
  await bucket.file("b").moveFileAtomic("c");
  await bucket.file("llo").save("llo", { resumable: false });
  await bucket.combine(["c", "llo"], "hello");
  t.is((await bucket.file("hello").download())[0].toString(), "hello");
  await bucket.file("hello").move("moved");
  t.deepEqual(
    (await bucket.getFiles())[0].map(({ name }) => name),
    ["a", "c", "llo", "moved"],
  );
  await bucket.deleteFiles();
  t.deepEqual((await bucket.getFiles())[0], []);
});

test("gzip on the way up is unpacked on the way down", async (t) => {
  const { bucket } = await session(t);
  await bucket.file("x").save("hello ".repeat(1000), { gzip: true, resumable: false });
  t.is((await bucket.file("x").getMetadata())[0].contentEncoding, "gzip");
  t.is((await bucket.file("x").download())[0].toString(), "hello ".repeat(1000));
});

test("a failure that a client repeats does no harm", async (t) => {
  const { bucket, url } = await session(t);
  const rules = [
    { method: "storage.objects.get", action: "return-503", count: 1 },
    { method: "storage.objects.insert", action: "lost-answer", count: 1 },
  ];
  const headers = { "content-type": "application/json" };
  await fetch(`${url}/admin/faults`, { method: "POST", headers, body: JSON.stringify(rules) });
  await bucket.file("x").save("hello", { resumable: true, preconditionOpts: { ifGenerationMatch: 0 } });
  t.is((await bucket.file("x").getMetadata())[0].size, "5");
});

test("buckets are created, found and deleted", async (t) => {
  const { storage } = await session(t);
  await storage.createBucket("made-here");
  t.deepEqual(await storage.bucket("made-here").exists(), [true]);
  t.deepEqual(
    (await storage.getBuckets())[0].map(({ name }) => name),
    ["bkt", "made-here"],
  );
  await storage.bucket("made-here").delete();
  t.deepEqual(await storage.bucket("made-here").exists(), [false]);
});

test("a bucket tells a topic of its changes for as long as a notification says so", async (t) => {
  const { bucket, url } = await session(t);
  await fetch(`${url}/v1/projects/test/topics/changes`, { method: "PUT" });
  const eventTypes = ["OBJECT_FINALIZE"];
  const [notification] = await bucket.createNotification("changes", { eventTypes, payloadFormat: "NONE" });
  const topic = "//pubsub.googleapis.com/projects/test/topics/changes";
  t.like((await notification.getMetadata())[0], { topic, event_types: eventTypes, payload_format: "NONE" });
  t.deepEqual(
    (await bucket.getNotifications())[0].map(({ id }) => id),
    [notification.id],
  );
  await notification.delete();
  t.deepEqual((await bucket.getNotifications())[0], []);
  t.is(await codeOf(bucket.createNotification("no-such-topic")), 400);
});

test("a hierarchical bucket is made, and its folders are listed as prefixes", async (t) => {
  const { storage } = await session(t);
  const iamConfiguration = { uniformBucketLevelAccess: { enabled: true } };
  const settings = { hierarchicalNamespace: { enabled: true }, iamConfiguration };
  const [bucket] = await storage.createBucket("folders", settings);
  t.like((await bucket.getMetadata())[0], { hierarchicalNamespace: { enabled: true } });
  await bucket.file("a/b/x").save("x", { resumable: false });
  await bucket.file("a/b/x").delete();
  const shown = async (query: object): Promise<unknown> =>
    (await bucket.getFiles({ delimiter: "/", autoPaginate: false, ...query }))[2];
  t.deepEqual((await shown({})) as object, { kind: "storage#objects" });
  t.like(await shown({ prefix: "a/", includeFoldersAsPrefixes: true }), { prefixes: ["a/b/"] });
});
