import test from "ava";
import { Digest, base64OfCrc32c, parseHashHeader } from "./checksums.ts";
import { rangeOf, uploadPartOf } from "./content-range.ts";
import { boundaryOf, readRelated } from "./multipart.ts";
import { parseFields, selectFields } from "./partial-response.ts";
import { routeOf } from "./routes.ts";

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

test("a multipart body is understood wherever it is cut into pieces", async (t) => {
  const media = "a\r\n--bound\r\r\n--boundar\r\n";
  const body = Buffer.from(
    `preamble\r\n--boundary\r\ncontent-type: application/json\r\n\r\n{"name":"x"}\r\n` +
      `--boundary  \r\nContent-Transfer-Encoding: binary\r\nContent-Type: image/png\r\n\r\n${media}\r\n--boundary--\r\nmore`,
  );
  for (let length = 1; length <= body.length; length += 1) {
    const parts = await readRelated(inPieces(body, length), "boundary");
    const pieces: Buffer[] = [];
    for await (const piece of parts.media) pieces.push(piece);
    t.is(parts.metadata.toString(), '{"name":"x"}');
    t.is(parts.mediaType, "image/png");
    t.is(Buffer.concat(pieces).toString(), media, `in pieces of ${length}`);
  }
});

test("parts of a multipart body may have no headers", async (t) => {
  const parts = await readRelated(inPieces(Buffer.from("--b\r\n\r\n{}\r\n--b\r\n\r\nx\r\n--b--"), 7), "b");
  t.is(parts.metadata.toString(), "{}");
  t.is(parts.mediaType, undefined);
  const pieces: Buffer[] = [];
  for await (const piece of parts.media) pieces.push(piece);
  t.is(Buffer.concat(pieces).toString(), "x");
});

test("a boundary may be quoted and must be there", (t) => {
  t.is(boundaryOf("multipart/related; boundary=abc"), "abc");
  t.is(boundaryOf('multipart/related; type="x"; boundary="a b"'), "a b");
  t.is(boundaryOf("multipart/related; boundary='===42=='"), "===42==");
  t.throws(() => boundaryOf("multipart/related"));
});

test("ranges of reads", (t) => {
  t.deepEqual(rangeOf("bytes=0-0", 10), { start: 0, end: 1 });
  t.deepEqual(rangeOf("bytes=-4", 3), { start: 0, end: 3 });
  t.is(rangeOf("bytes=3-", 3), "unsatisfiable");
  t.is(rangeOf("bytes=-0", 3), "unsatisfiable");
  t.is(rangeOf("bytes=0-1,3-4", 10), "whole");
  t.is(rangeOf(undefined, 10), "whole");
});

test("ranges of uploads", (t) => {
  t.deepEqual(uploadPartOf("bytes 0-9/10"), { kind: "chunk", start: 0, end: 10, total: 10 });
  t.deepEqual(uploadPartOf("bytes 5-9/*"), { kind: "chunk", start: 5, end: 10, total: undefined });
  t.deepEqual(uploadPartOf("bytes 5-*/*"), { kind: "rest", start: 5, total: undefined });
  t.deepEqual(uploadPartOf("bytes */7"), { kind: "query", total: 7 });
  t.deepEqual(uploadPartOf(undefined), { kind: "rest", start: 0, total: undefined });
  t.throws(() => uploadPartOf("bytes 5-4/10"));
  t.throws(() => uploadPartOf("bytes 0-10/10"));
});

test("an object's name is one segment of the raw path, slashes included", (t) => {
  t.like(routeOf("GET", "/storage/v1/b/bkt/o/a%2Fo%2Fb%25"), {
    method: "storage.objects.get",
    object: "a/o/b%",
  });
  t.like(routeOf("GET", "/storage/v1/b/bkt/o/%2F%2F"), { object: "//" });
  t.like(routeOf("GET", "/b/bkt/o"), { method: "storage.objects.list" });
  t.like(routeOf("POST", "/storage/v1/b/bkt/o/a%2Fb/rewriteTo/b/other/o/c%2Fd"), {
    method: "storage.objects.rewrite",
    object: "a/b",
    destinationBucket: "other",
    destinationObject: "c/d",
  });
  t.is(routeOf("GET", "/storage/v1/b/bkt/o/a/b"), undefined);
  t.is(routeOf("POST", "/upload/storage/v1/b/bkt"), undefined);
  t.is(routeOf("PUT", "/storage/v1/b/bkt/o"), undefined);
  t.like(routeOf("PUT", "/upload/storage/v1/b/bkt/o"), { method: "storage.objects.insert", isUpload: true });
  t.like(routeOf("HEAD", "/bkt/a/b%20c"), {
    method: "storage.objects.get",
    object: "a/b c",
    isDownload: true,
  });
  t.throws(() => routeOf("GET", "/storage/v1/b/bkt/o/%zz"));
});

test("a field selection keeps what it names, to any depth", (t) => {
  const value = { a: { b: 1, c: 2 }, items: [{ name: "x", size: "1", m: { k: "v" } }], z: 0 };
  const select = (fields: string) => selectFields(value, parseFields(fields));
  t.deepEqual(select("a/b,z"), { a: { b: 1 }, z: 0 });
  t.deepEqual(select("items(name,m/k)"), { items: [{ name: "x", m: { k: "v" } }] });
  t.deepEqual(select("items/size, items/name"), { items: [{ name: "x", size: "1" }] });
  t.deepEqual(select("*"), value);
  for (const bad of ["a(", "a)", ",", "a,", "a/"]) t.throws(() => select(bad), undefined, bad);
});

test("checksums of nothing and of something are the well-known ones", (t) => {
  const digest = new Digest();
  t.deepEqual(digest.result(), { crc32c: 0, md5: "1B2M2Y8AsgTpgAmY7PhCfg==" });
  digest.update(Buffer.from("1234"));
  digest.update(Buffer.from("56789"));
  t.is(digest.result().crc32c, 0xe3069283);
  t.is(base64OfCrc32c(0xe3069283), "4waSgw==");
  t.deepEqual(parseHashHeader("crc32c=4waSgw==, md5=abc=="), { crc32c: "4waSgw==", md5: "abc==" });
  t.deepEqual(parseHashHeader(undefined), {});
});
