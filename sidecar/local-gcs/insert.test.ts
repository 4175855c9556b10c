import test from "ava";
import { createHash } from "node:crypto";
import { objectPath, session } from "./testing.ts";

const multipart = (metadata: object, media: string, type = "text/plain") =>
  `--b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n` +
  `--b\r\nContent-Type: ${type}\r\n\r\n${media}\r\n--b--`;

test("an object inserted as plain media has the name of the query and the type of the header", async (t) => {
  const gcs = await session(t);
  const { status, json } = await gcs.put("photos/a b.txt", "hello", "", { "content-type": "text/plain" });
  t.is(status, 200);
  t.like(json, {
    kind: "storage#object",
    name: "photos/a b.txt",
    bucket: "bkt",
    size: "5",
    contentType: "text/plain",
  });
  t.like(json, {
    metageneration: "1",
    crc32c: "mnG7TA==",
    md5Hash: "XUFAKrxLKna5cZ2REBfFkg==",
    storageClass: "STANDARD",
  });
  t.regex(String(json["generation"]), /^\d{16}$/);
  t.is((await gcs.media("photos/a b.txt")).text, "hello");
});

test("an object inserted as multipart has the metadata of its first part", async (t) => {
  const gcs = await session(t);
  const body = multipart(
    { name: "x", metadata: { k: "ü" }, cacheControl: "no-store" },
    "line\r\n--not the end\r\n",
  );
  const headers = { "content-type": "multipart/related; boundary=b" };
  const { json } = await gcs.send("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", {
    body,
    headers,
  });
  t.like(json, { name: "x", contentType: "text/plain", metadata: { k: "ü" }, cacheControl: "no-store" });
  t.is((await gcs.media("x")).text, "line\r\n--not the end\r\n");
});

test("a multipart upload that ends before its closing boundary makes no object", async (t) => {
  const gcs = await session(t);
  const body = multipart({ name: "x" }, "media").slice(0, -8);
  const headers = { "content-type": 'multipart/related; boundary="b"' };
  const { status } = await gcs.send("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", {
    body,
    headers,
  });
  t.is(status, 400);
  t.is((await gcs.get(objectPath("x"))).status, 404);
});

test("an object may be empty", async (t) => {
  const gcs = await session(t);
  t.is((await gcs.put("empty", "")).json["size"], "0");
  const headers = { "content-type": "multipart/related; boundary=b" };
  const body = multipart({ name: "empty2" }, "");
  const sent = await gcs.send("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", { body, headers });
  t.like(sent.json, { size: "0", crc32c: "AAAAAA==", md5Hash: "1B2M2Y8AsgTpgAmY7PhCfg==" });
  t.is((await gcs.media("empty")).text, "");
});

test("an announced checksum that does not match is refused and leaves what was there", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "old");
  const md5 = createHash("md5").update("other").digest("base64");
  const byHeader = await gcs.put("x", "new", "", { "x-goog-hash": `crc32c=AAAAAA==,md5=${md5}` });
  t.is(byHeader.status, 400);
  t.regex(byHeader.text, /doesn't match calculated/);
  const headers = { "content-type": "multipart/related; boundary=b" };
  const body = multipart({ name: "x", md5Hash: md5 }, "new");
  const sent = await gcs.send("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", { body, headers });
  t.is(sent.status, 400);
  t.is((await gcs.media("x")).text, "old");
  const right = await gcs.put("x", "other", "", { "x-goog-hash": `md5=${md5}` });
  t.is(right.status, 200);
});

test("generations grow with every write of a name", async (t) => {
  const gcs = await session(t);
  const generations: bigint[] = [];
  for (let n = 0; n < 20; n += 1)
    generations.push(BigInt(String((await gcs.put("x", "")).json["generation"])));
  t.true(generations.every((generation, n) => n === 0 || generation > (generations[n - 1] ?? 0n)));
});

test("a write is refused with 412 or 304 unless the live object is as the request expects", async (t) => {
  const gcs = await session(t);
  const statusOf = async (query: string) => (await gcs.put("x", "", query)).status;
  t.is(await statusOf("&ifGenerationMatch=5"), 412);
  t.is(await statusOf("&ifGenerationNotMatch=0"), 304);
  t.is(await statusOf("&ifGenerationMatch=0"), 200);
  t.is(await statusOf("&ifGenerationMatch=0"), 412);
  const live = String((await gcs.get(objectPath("x"))).json["generation"]);
  t.is(await statusOf(`&ifGenerationNotMatch=${live}`), 304);
  t.is(await statusOf("&ifMetagenerationMatch=2"), 412);
  t.is(await statusOf("&ifMetagenerationNotMatch=1"), 304);
  t.is(await statusOf(`&ifGenerationMatch=${live}&ifMetagenerationMatch=1`), 200);
  t.is(await statusOf(`&ifGenerationMatch=${live}`), 412);
  t.is(await statusOf("&ifGenerationMatch=x"), 400);
});

test("a failed precondition says so in the service's words", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("x", "", "&ifGenerationMatch=5");
  const message = "At least one of the pre-conditions you specified did not hold.";
  const error = {
    message,
    domain: "global",
    reason: "conditionNotMet",
    locationType: "header",
    location: "If-Match",
  };
  t.deepEqual(json, { error: { code: 412, message, errors: [error] } });
});

test("of many writers that expect the same generation one wins", async (t) => {
  const gcs = await session(t);
  const writes = Array.from({ length: 20 }, (_, n) => gcs.put("x", `${n}`, "&ifGenerationMatch=0"));
  const statuses = (await Promise.all(writes)).map(({ status }) => status);
  t.is(statuses.filter((status) => status === 200).length, 1);
  t.is(statuses.filter((status) => status === 412).length, 19);
});

test("names the service would not store are refused", async (t) => {
  const gcs = await session(t);
  for (const name of ["", ".", "..", "a\nb", "a\rb", ".well-known/acme-challenge/x", "é".repeat(513)]) {
    t.is((await gcs.put(name, "")).status, 400, JSON.stringify(name));
  }
  for (const name of ["/", "//", "a/../b", "foo/", "é".repeat(512), "a+b%2F c", "\u{1f600}", "..."]) {
    const { status, json } = await gcs.put(name, name);
    t.is(status, 200, JSON.stringify(name));
    t.is(json["name"], name);
    t.is((await gcs.media(name)).text, name);
  }
});

test("more than 8 KiB of custom metadata is refused", async (t) => {
  const gcs = await session(t);
  const insert = async (length: number) => {
    const headers = { "content-type": "multipart/related; boundary=b" };
    const body = multipart({ name: "x", metadata: { key: "v".repeat(length) } }, "");
    return (await gcs.send("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", { body, headers }))
      .status;
  };
  t.is(await insert(8 * 1024 - 3), 200);
  t.is(await insert(8 * 1024 - 2), 400);
});

test("an absent bucket is told from an absent object", async (t) => {
  const gcs = await session(t);
  const path = "/upload/storage/v1/b/nobody/o?uploadType=media&name=x";
  t.regex((await gcs.send("POST", path, { body: "x" })).text, /The specified bucket does not exist\./);
  t.regex((await gcs.get(objectPath("x", "nobody"))).text, /The specified bucket does not exist\./);
  t.regex((await gcs.get(objectPath("x"))).text, /No such object: bkt\/x/);
});

test("an insert outside /upload and an unknown route are refused", async (t) => {
  const gcs = await session(t);
  t.is((await gcs.send("POST", "/storage/v1/b/bkt/o?name=x", { body: "" })).status, 400);
  const unknown = await gcs.get("/storage/v1/b/bkt/nothing");
  t.is(unknown.status, 404);
  t.like(unknown.json, { error: { code: 404 } });
  t.is((await gcs.get("/admin/requests")).status, 404);
  t.is((await gcs.send("POST", "/retry_test", { body: { instructions: {} } })).status, 404);
});
