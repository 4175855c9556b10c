import test from "ava";
import { gzipSync } from "node:zlib";
import { objectPath, session } from "./testing.ts";

test("a range is answered with 206, a range beyond the end with 416, a malformed one with everything", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "0123456789");
  const read = async (range: string) => {
    const { status, text, headers } = await gcs.media("x", { range });
    return [status, status === 416 ? "" : text, headers["content-range"]];
  };
  t.deepEqual(await read("bytes=2-4"), [206, "234", "bytes 2-4/10"]);
  t.deepEqual(await read("bytes=7-"), [206, "789", "bytes 7-9/10"]);
  t.deepEqual(await read("bytes=7-99"), [206, "789", "bytes 7-9/10"]);
  t.deepEqual(await read("bytes=-3"), [206, "789", "bytes 7-9/10"]);
  t.deepEqual(await read("bytes=-99"), [206, "0123456789", "bytes 0-9/10"]);
  t.deepEqual(await read("bytes=10-"), [416, "", undefined]);
  t.deepEqual(await read("bytes=4-2"), [200, "0123456789", undefined]);
  t.deepEqual(await read("lines=1-2"), [200, "0123456789", undefined]);
  t.deepEqual(await read("bytes=-"), [200, "0123456789", undefined]);
  await gcs.put("empty", "");
  t.is((await gcs.media("empty", { range: "bytes=0-" })).status, 416);
});

test("media comes with headers that describe the object, and HEAD with these alone", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("x", "hello");
  const expected = {
    "x-goog-generation": json["generation"] as string,
    "x-goog-metageneration": "1",
    "x-goog-hash": "crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==",
    "x-goog-stored-content-length": "5",
    "x-goog-stored-content-encoding": "identity",
    "x-goog-storage-class": "STANDARD",
    "content-type": "application/octet-stream",
    "content-length": "5",
    etag: json["etag"] as string,
  };
  const media = await gcs.media("x");
  t.like(media.headers, expected);
  t.true(Math.abs(Date.parse(media.headers["last-modified"] ?? "") - Date.now()) < 60_000);
  t.true(Math.abs(Date.parse(media.headers.date ?? "") - Date.now()) < 60_000);
  const head = await gcs.send("HEAD", `${objectPath("x")}?alt=media`);
  t.like(head.headers, expected);
  t.is(head.text, "");
  t.is((await gcs.send("HEAD", objectPath("x"))).status, 200);
});

test("bytes can be had under /download, by mediaLink, without /storage/v1 and in XML style", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("a/b c", "hello");
  t.is((await gcs.get(`/download${objectPath("a/b c")}`)).text, "hello");
  t.is((await gcs.get(String(json["mediaLink"]).replace(gcs.url, ""))).text, "hello");
  t.true(String(json["mediaLink"]).startsWith(gcs.url));
  t.is((await gcs.get("/b/bkt/o/a%2Fb%20c?alt=media")).text, "hello");
  t.is((await gcs.get("/bkt/a/b%20c")).text, "hello");
});

test("a read pinned to a generation that was replaced is 404, never other bytes", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("x", "old");
  await gcs.put("x", "new");
  const path = `${objectPath("x")}?generation=${String(json["generation"])}`;
  t.is((await gcs.get(path)).status, 404);
  const media = await gcs.get(`${path}&alt=media`);
  t.deepEqual([media.status, media.text], [404, "No such object: bkt/x"]);
});

test("conditions on a read: 412, 304 without a body, and 404 when nothing is there", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("x", "hello");
  const generation = String(json["generation"]);
  const etag = String(json["etag"]);
  const statusOf = async (query: string, headers = {}) =>
    (await gcs.get(`${objectPath("x")}?${query}`, headers)).status;
  t.is(await statusOf("ifGenerationMatch=1"), 412);
  t.is(await statusOf(`ifGenerationMatch=${generation}`), 200);
  t.is(await statusOf(`ifGenerationNotMatch=${generation}`), 304);
  t.is(await statusOf("ifMetagenerationNotMatch=1&alt=media"), 304);
  t.is(await statusOf("", { "if-none-match": `"${etag}"` }), 304);
  t.is(await statusOf("", { "if-match": etag }), 200);
  t.is(await statusOf("alt=media", { "if-match": '"other"' }), 412);
  t.is((await gcs.get(`${objectPath("absent")}?ifGenerationMatch=1`)).status, 404);
  t.is((await gcs.get(`${objectPath("x")}?ifGenerationNotMatch=${generation}`)).text, "");
});

test("a gzip object is unpacked for clients that cannot, and given as stored to those that can", async (t) => {
  const gcs = await session(t);
  const packed = gzipSync("hello ".repeat(1000));
  await gcs.put("x", packed, "&contentEncoding=gzip", { "content-type": "text/plain" });
  const unpacked = await gcs.media("x", { range: "bytes=0-3" });
  t.deepEqual([unpacked.status, unpacked.text], [200, "hello ".repeat(1000)]);
  t.is(unpacked.headers["content-encoding"], undefined);
  const stored = await gcs.media("x", { range: "bytes=0-3", "accept-encoding": "gzip" });
  t.deepEqual([stored.status, stored.bytes], [206, packed.subarray(0, 4)]);
  t.is(stored.headers["content-encoding"], "gzip");
  t.is(stored.headers["x-goog-stored-content-encoding"], "gzip");
  t.is(stored.headers["x-goog-stored-content-length"], String(packed.length));
});

test("fields leaves of an answer what was asked for", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "hello");
  t.deepEqual((await gcs.get(`${objectPath("x")}?fields=name,size`)).json, { name: "x", size: "5" });
  t.is((await gcs.get(`${objectPath("x")}?fields=name(`)).status, 400);
  const list = await gcs.get("/storage/v1/b/bkt/o?fields=items(name),nextPageToken,prefixes");
  t.deepEqual(list.json, { items: [{ name: "x" }] });
});

test("a reader keeps its bytes while the object is replaced and removed", async (t) => {
  const gcs = await session(t, { admin: true });
  const bytes = Buffer.alloc(3_000_000, "old");
  await gcs.put("x", bytes);
  await gcs.send("POST", "/admin/faults", {
    body: [{ name: "x", action: "stall-for-0.3s-after-256K", count: 1 }],
  });
  const reading = gcs.media("x");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await gcs.put("x", "new");
  await gcs.send("DELETE", objectPath("x"));
  t.true((await reading).bytes.equals(bytes));
});
