import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import test from "ava";

import { crc32cOf } from "./crc32c.ts";
import { isBucketError } from "./errors.ts";
import { sharedLocalGcs } from "./local-gcs.fixture.ts";
import { bucketAt, bytesSource, collect, refuse, serve } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

test("a download that breaks goes on from the last byte received", async (t) => {
  const { bucket, faults, requests } = await gcs().session(t);
  const bytes = randomBytes(5_000_000);
  const { value } = await bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" });
  await requests();
  await faults(
    { method: "storage.objects.get", action: "return-broken-stream-after-1000K", count: 2 },
    { method: "storage.objects.get", action: "return-503-after-100K", count: 1 },
    { method: "storage.objects.get", action: "return-reset-connection", count: 1 },
  );
  t.true((await collect(bucket.read(value))).equals(bytes));
  const asked = await requests();
  t.true(asked.length >= 4);
  t.is(asked[0]?.range, undefined);
  t.true(asked.slice(1).every((request) => /^bytes=\d+-4999999$/.test(request.range ?? "")));
  t.true(asked.every((request) => request.query["generation"] === String(value.generation)));
  t.true(asked.reduce((sum, request) => sum + request.responseBytes, 0) < 8_000_000, "little is sent twice");
});

test("a range that breaks is completed too, and only that range", async (t) => {
  const { bucket, faults } = await gcs().session(t);
  const bytes = randomBytes(3_000_000);
  const { value } = await bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" });
  await faults({ method: "storage.objects.get", action: "return-broken-stream-after-256K", count: 3 });
  const range = { start: 1_000_001, end: 2_500_003 };
  t.true((await collect(bucket.read(value, { range }))).equals(bytes.subarray(range.start, range.end)));
});

test("a version that was replaced is not found; nothing of the new one comes instead", async (t) => {
  const { bucket } = await gcs().session(t);
  const { value: old } = await bucket.insert(
    "a",
    bytesSource(Buffer.from("old")),
    "absent",
    {},
    { operationId: "m:1" },
  );
  await bucket.insert("a", bytesSource(Buffer.from("new")), old.generation, {}, { operationId: "m:2" });
  const error = await t.throwsAsync(collect(bucket.read(old)));
  t.true(isBucketError(error, "not-found"));
});

test("RULES 3: a whole object whose bytes do not match its checksum is an error after its last byte", async (t) => {
  const bytes = Buffer.from("some bytes");
  const service = await serve(t, (_, response) => response.end(bytes));
  const object = { name: "a", generation: 7n, size: 10, crc32c: crc32cOf(bytes) ^ 1 };
  const received: Buffer[] = [];
  const error = await t.throwsAsync(async () => {
    for await (const chunk of bucketAt(t, service.url).read(object)) received.push(chunk);
  });
  t.true(isBucketError(error, "checksum"));
  t.is(String(Buffer.concat(received)), "some bytes");
});

test("the checksum covers what came after a break as well", async (t) => {
  const bytes = Buffer.from("some bytes");
  const service = await serve(t, (request, response) => {
    if (request.headers.range === undefined) {
      response.writeHead(200, { "content-length": 10 }).write("some ");
      setTimeout(() => response.destroy(), 20);
    } else {
      response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("bytex");
    }
  });
  const object = { name: "a", generation: 7n, size: 10, crc32c: crc32cOf(bytes) };
  const error = await t.throwsAsync(collect(bucketAt(t, service.url).read(object)));
  t.true(isBucketError(error, "checksum"));
});

test("an object stored compressed comes as it is stored", async (t) => {
  const { bucket } = await gcs().session(t);
  const bytes = gzipSync(Buffer.alloc(100_000, "text "));
  const written = await fetch(
    `${gcs().url}/upload/storage/v1/b/${bucket.name}/o?uploadType=media&name=z&contentEncoding=gzip`,
    {
      method: "POST",
      body: bytes,
    },
  );
  t.true(written.ok);
  const { value } = await bucket.stat("z");
  t.is(value?.contentEncoding, "gzip");
  t.is(value?.size, bytes.length);
  t.true((await collect(bucket.read(value!))).equals(bytes));
  const range = { start: 10, end: 50 };
  t.true((await collect(bucket.read(value!, { range }))).equals(bytes.subarray(10, 50)));
});

test("a server that ignores the range is refused", async (t) => {
  const service = await serve(t, (_, response) => response.end("some bytes"));
  const object = { name: "a", generation: 7n, size: 10, crc32c: 0 };
  const error = await t.throwsAsync(
    collect(bucketAt(t, service.url).read(object, { range: { start: 5, end: 10 } })),
  );
  t.true(isBucketError(error, "invalid"));
});

test("giving up one of two slow downloads ends it at once and leaves the other alone", async (t) => {
  const half = Buffer.alloc(100_000, 1);
  const service = await serve(t, (_, response) => {
    response.writeHead(200, { "content-length": 200_000 }).write(half);
    const timer = setTimeout(() => response.end(half), 3_000);
    response.on("close", () => clearTimeout(timer));
  });
  const object = { name: "a", generation: 7n, size: 200_000, crc32c: crc32cOf(Buffer.alloc(200_000, 1)) };
  const bucket = bucketAt(t, service.url);
  const giveUp = new AbortController();
  const started = Date.now();
  const first = collect(bucket.read(object, { signal: giveUp.signal }));
  const second = collect(bucket.read(object));
  second.catch(() => {}); // awaited below
  setTimeout(() => giveUp.abort(), 200);
  const error = await t.throwsAsync(first);
  t.true(isBucketError(error, "aborted"));
  t.true(Date.now() - started < 2_500);
  t.is((await second).length, 200_000);
  t.is(service.asked.length, 2, "the other download was not even interrupted");
});

test("a reader that stops early lets go of the connection, the bucket goes on", async (t) => {
  const { bucket } = await gcs().session(t);
  const bytes = randomBytes(4_000_000);
  const { value } = await bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" });
  for (let i = 0; i < 100; i += 1) {
    for await (const chunk of bucket.read(value)) {
      t.true(chunk.length > 0);
      break;
    }
  }
  t.true((await collect(bucket.read(value))).equals(bytes));
});

test("a signal that was aborted before sends nothing", async (t) => {
  const service = await serve(t, (_, response) => refuse(response, 500, "backendError"));
  const bucket = bucketAt(t, service.url);
  const signal = AbortSignal.abort();
  const object = { name: "a", generation: 7n, size: 10, crc32c: 0 };
  for (const call of [
    collect(bucket.read(object, { signal })),
    bucket.stat("a", signal),
    bucket.list({ prefix: "" }, signal),
    bucket.insert("a", bytesSource(Buffer.from("a")), "absent", {}, { operationId: "m:1", signal }),
  ]) {
    const error = await t.throwsAsync(call);
    t.true(isBucketError(error, "aborted"));
  }
  t.is(service.asked.length, 0);
});

test("time the reader takes for itself is not held against the service", async (t) => {
  const bytes = randomBytes(3_000_000);
  const { bucket } = await gcs().session(t, { deadlineMs: 1_000 });
  const { value } = await bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" });
  const received: Buffer[] = [];
  for await (const chunk of bucket.read(value)) {
    if (received.length === 0) await delay(1_500);
    received.push(Buffer.from(chunk));
  }
  t.true(Buffer.concat(received).equals(bytes));
});
