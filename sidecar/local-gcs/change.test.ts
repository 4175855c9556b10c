import test from "ava";
import { objectPath, session } from "./testing.ts";

test("a patch changes what it names, null removes it, and the generation stays", async (t) => {
  const gcs = await session(t);
  const { json: before } = await gcs.put("x", "hello", "", { "content-type": "text/plain" });
  const patch = async (body: object) => (await gcs.send("PATCH", objectPath("x"), { body })).json;
  const first = await patch({ metadata: { a: "1", b: "2" } });
  t.like(first, { metadata: { a: "1", b: "2" }, metageneration: "2", generation: before["generation"] });
  t.deepEqual((await patch({ metadata: { a: null, c: "3" } }))["metadata"], { b: "2", c: "3" });
  const last = await patch({ metadata: null, contentType: "text/html" });
  t.is(last["metadata"], undefined);
  t.like(last, { contentType: "text/html", metageneration: "4", md5Hash: before["md5Hash"] });
  t.is((await gcs.media("x")).text, "hello");
});

test("an update replaces everything that can be set", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "hello", "", { "content-type": "text/plain" });
  const { json } = await gcs.send("PUT", objectPath("x"), { body: { metadata: { k: "v" } } });
  t.like(json, { metadata: { k: "v" }, metageneration: "2", storageClass: "STANDARD" });
  t.is(json["contentType"], undefined);
});

test("a patch is guarded by both generations", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("x", "");
  const statusOf = async (query: string) =>
    (await gcs.send("PATCH", `${objectPath("x")}?${query}`, { body: { metadata: {} } })).status;
  t.is(await statusOf("ifMetagenerationMatch=2"), 412);
  t.is(await statusOf("ifGenerationMatch=2"), 412);
  t.is(await statusOf("generation=2"), 404);
  t.is(await statusOf("ifMetagenerationNotMatch=1"), 304);
  t.is(await statusOf(`ifMetagenerationMatch=1&ifGenerationMatch=${String(json["generation"])}`), 200);
  t.is((await gcs.send("PATCH", `${objectPath("none")}?ifGenerationMatch=1`, { body: {} })).status, 404);
});

test("custom time only moves forward and the storage class is not patched", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "");
  const statusOf = async (body: object) => (await gcs.send("PATCH", objectPath("x"), { body })).status;
  t.is(await statusOf({ customTime: "2020-01-02T00:00:00Z" }), 200);
  t.is(await statusOf({ customTime: "2020-01-01T00:00:00Z" }), 400);
  t.is(await statusOf({ customTime: null }), 400);
  t.is(await statusOf({ storageClass: "NEARLINE" }), 400);
});

test("a deleted object is gone; deleting again is 404", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("x", "");
  const remove = async (query = "") => (await gcs.send("DELETE", objectPath("x") + query)).status;
  t.is(await remove("?ifGenerationMatch=1"), 412);
  t.is(await remove("?generation=1"), 404);
  t.is(await remove(`?ifGenerationMatch=${String(json["generation"])}`), 204);
  t.is(await remove(), 404);
  t.is((await gcs.get(objectPath("x"))).status, 404);
});

test("a held object can be neither replaced nor deleted until it is released", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "kept");
  await gcs.send("PATCH", objectPath("x"), { body: { temporaryHold: true } });
  t.like((await gcs.put("x", "new")).json, { error: { code: 403 } });
  t.is((await gcs.send("DELETE", objectPath("x"))).status, 403);
  await gcs.send("PATCH", objectPath("x"), { body: { temporaryHold: false } });
  t.is((await gcs.send("DELETE", objectPath("x"))).status, 204);
});

test("a body that is not JSON is refused", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "");
  t.is((await gcs.send("PATCH", objectPath("x"), { body: "{" })).status, 400);
  t.is((await gcs.send("PATCH", objectPath("x"), { body: "[]" })).status, 400);
});
