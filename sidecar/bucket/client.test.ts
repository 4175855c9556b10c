import test from "ava";

import { crc32cOf, encodeCrc32c } from "./crc32c.ts";
import { isBucketError } from "./errors.ts";
import { bodyOf, bucketAt, collect, refuse, resource, sendJson, serve } from "./service.fixture.ts";

test("a look-up tells what the bucket knows of a name, and the bucket's time", async (t) => {
  const service = await serve(t, (_, response) => {
    response.setHeader("date", "Fri, 02 Jan 2026 03:05:00 GMT");
    sendJson(response, 200, resource({ size: "12", contentType: "text/plain", metadata: { k: "v" } }));
  });
  const { value, dateMs } = await bucketAt(t, service.url).stat("a");
  t.is(dateMs, Date.parse("2026-01-02T03:05:00Z"));
  t.deepEqual(value, {
    name: "a",
    generation: 7n,
    metageneration: 1n,
    size: 12,
    crc32c: 0,
    createdMs: Date.parse("2026-01-02T03:04:05.678Z"),
    updatedMs: Date.parse("2026-01-02T03:04:06.789Z"),
    contentType: "text/plain",
    contentEncoding: undefined,
    storageClass: undefined,
    metadata: { k: "v" },
  });
});

test("a name that is not there is undefined, a bucket that is not there is an error", async (t) => {
  const service = await serve(t, (request, response) =>
    request.url?.startsWith("/storage/v1/b/gone/")
      ? refuse(response, 404, "notFound", "The specified bucket does not exist.")
      : refuse(response, 404, "notFound", "No such object: b/a"),
  );
  t.is((await bucketAt(t, service.url).stat("a")).value, undefined);
  const error = await t.throwsAsync(bucketAt(t, service.url, { bucket: "gone" }).stat("a"));
  t.true(isBucketError(error, "bucket-not-found"));
});

test("a small insert is one request with its checksum, its condition and its operation id", async (t) => {
  const bytes = Buffer.from("some bytes");
  let body = "";
  const service = await serve(t, async (request, response) => {
    body = (await bodyOf(request)).toString();
    sendJson(response, 200, resource({ size: "10", crc32c: encodeCrc32c(crc32cOf(bytes)) }));
  });
  const { value } = await bucketAt(t, service.url).insert(
    "a",
    { kind: "bytes", bytes, crc32c: crc32cOf(bytes) },
    "absent",
    { contentType: "text/plain", metadata: { k: "v" } },
    { operationId: "m:1" },
  );
  t.is(value.generation, 7n);
  t.is(service.asked.length, 1);
  t.regex(
    service.asked[0]?.url ?? "",
    /^\/upload\/storage\/v1\/b\/b\/o\?uploadType=multipart&ifGenerationMatch=0&/,
  );
  const parts = body.split("\r\n");
  t.deepEqual(JSON.parse(parts[3] ?? ""), {
    name: "a",
    contentType: "text/plain",
    metadata: { k: "v", "sidemount-op": "m:1" },
    crc32c: encodeCrc32c(crc32cOf(bytes)),
  });
  t.deepEqual(parts.slice(4, 8), [parts[0] ?? "", "content-type: text/plain", "", "some bytes"]);
  t.is(service.asked[0]?.headers.authorization, undefined);
});

test("an empty object is read without asking", async (t) => {
  const service = await serve(t, (_, response) => refuse(response, 500, "backendError"));
  const bucket = bucketAt(t, service.url);
  t.is((await collect(bucket.read({ name: "a", generation: 7n, size: 0, crc32c: 0 }))).length, 0);
  t.is(service.asked.length, 0);
});

test("a read asks for exactly one version, as it is stored", async (t) => {
  const bytes = Buffer.from("some bytes");
  const service = await serve(t, (request, response) => {
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "");
    if (range === null) return response.writeHead(200).end(bytes);
    const [first, last] = [Number(range[1]), Number(range[2])];
    response.writeHead(206, { "content-range": `bytes ${first}-${last}/10` });
    return response.end(bytes.subarray(first, last + 1));
  });
  const object = { name: "a", generation: 7n, size: 10, crc32c: crc32cOf(bytes) };
  const bucket = bucketAt(t, service.url);
  t.is(String(await collect(bucket.read(object))), "some bytes");
  t.is(String(await collect(bucket.read(object, { range: { start: 5, end: 99 } }))), "bytes");
  t.is(service.asked[0]?.url, "/storage/v1/b/b/o/a?alt=media&generation=7");
  t.is(service.asked[0]?.headers["accept-encoding"], "gzip");
  t.is(service.asked[1]?.headers.range, "bytes=5-9");
});
