import test from "ava";
import { objectPath, session, type Client } from "./testing.ts";

const to = (source: string, call: string, destination: string) =>
  `${objectPath(source)}/${call}/${call === "moveTo" ? "" : "b/bkt/"}o/${encodeURIComponent(destination)}`;

async function exists(gcs: Client, name: string): Promise<boolean> {
  return (await gcs.get(objectPath(name))).status === 200;
}

test("a copy has the bytes and the metadata of its source, and its own generation", async (t) => {
  const gcs = await session(t);
  const { json: source } = await gcs.put("a/b", "hello", "", { "content-type": "text/plain" });
  const { json } = await gcs.send("POST", to("a/b", "copyTo", "c/d"));
  t.like(json, {
    name: "c/d",
    size: "5",
    contentType: "text/plain",
    metageneration: "1",
    md5Hash: source["md5Hash"],
  });
  t.not(json["generation"], source["generation"]);
  await gcs.put("a/b", "changed");
  await gcs.send("DELETE", objectPath("a/b"));
  t.is((await gcs.media("c/d")).text, "hello");
});

test("a rewrite is done in one call; a body replaces the metadata", async (t) => {
  const gcs = await session(t);
  await gcs.put("a", "hello", "", { "content-type": "text/plain" });
  const kept = await gcs.send("POST", to("a", "rewriteTo", "b"));
  t.like(kept.json, {
    kind: "storage#rewriteResponse",
    done: true,
    objectSize: "5",
    totalBytesRewritten: "5",
  });
  t.like(kept.json["resource"], { name: "b", contentType: "text/plain" });
  const replaced = await gcs.send("POST", to("a", "rewriteTo", "a"), { body: { metadata: { k: "v" } } });
  t.like(replaced.json["resource"], { metadata: { k: "v" } });
  t.is((replaced.json["resource"] as { contentType?: string }).contentType, undefined);
  t.is((await gcs.media("a")).text, "hello");
});

test("copies are guarded on both sides", async (t) => {
  const gcs = await session(t);
  const { json } = await gcs.put("a", "");
  const live = String(json["generation"]);
  const statusOf = async (query: string) =>
    (await gcs.send("POST", `${to("a", "rewriteTo", "b")}?${query}`)).status;
  t.is(await statusOf("ifGenerationMatch=7"), 412);
  t.is(await statusOf("ifSourceGenerationMatch=7"), 412);
  t.is(await statusOf(`ifSourceGenerationNotMatch=${live}`), 304);
  t.is(await statusOf("sourceGeneration=7"), 404);
  t.is(await statusOf(`ifGenerationMatch=0&ifSourceGenerationMatch=${live}`), 200);
  t.is(await statusOf("ifGenerationMatch=0"), 412);
  t.is((await gcs.send("POST", to("none", "rewriteTo", "b"))).status, 404);
});

test("a move takes the object to its new name at once, replacing what is there", async (t) => {
  const gcs = await session(t);
  await gcs.put("a", "new", "", { "content-type": "text/plain" });
  await gcs.put("b", "old");
  const { status, json } = await gcs.send("POST", to("a", "moveTo", "b"));
  t.is(status, 200);
  t.like(json, { name: "b", contentType: "text/plain", metageneration: "1" });
  t.false(await exists(gcs, "a"));
  t.is((await gcs.media("b")).text, "new");
  t.is((await gcs.send("POST", to("a", "moveTo", "b"))).status, 404);
  t.is((await gcs.send("POST", to("b", "moveTo", "b"))).status, 400);
});

test("a move obeys all eight preconditions, and a refused one changes nothing", async (t) => {
  const gcs = await session(t);
  const a = String((await gcs.put("a", "a")).json["generation"]);
  const b = String((await gcs.put("b", "b")).json["generation"]);
  const statusOf = async (query: string) =>
    (await gcs.send("POST", `${to("a", "moveTo", "b")}?${query}`)).status;
  t.is(await statusOf("ifGenerationMatch=0"), 412);
  t.is(await statusOf(`ifGenerationNotMatch=${b}`), 304);
  t.is(await statusOf("ifMetagenerationMatch=9"), 412);
  t.is(await statusOf("ifMetagenerationNotMatch=1"), 304);
  t.is(await statusOf(`ifSourceGenerationMatch=${b}`), 412);
  t.is(await statusOf(`ifSourceGenerationNotMatch=${a}`), 304);
  t.is(await statusOf("ifSourceMetagenerationMatch=9"), 412);
  t.is(await statusOf("ifSourceMetagenerationNotMatch=1"), 304);
  t.deepEqual([(await gcs.media("a")).text, (await gcs.media("b")).text], ["a", "b"]);
  t.is(
    await statusOf(`ifGenerationMatch=${b}&ifSourceGenerationMatch=${a}&ifSourceMetagenerationMatch=1`),
    200,
  );
});

test("compose puts sources one behind the other, with a CRC32C and no MD5", async (t) => {
  const gcs = await session(t);
  await gcs.put("a", "he");
  await gcs.put("b", "llo");
  const compose = async (name: string, sources: object[], more: object = {}, query = "") =>
    gcs.send("POST", `${objectPath(name)}/compose${query}`, { body: { sourceObjects: sources, ...more } });
  const { json } = await compose("c", [{ name: "a" }, { name: "b" }], {
    destination: { contentType: "text/x" },
  });
  t.like(json, { size: "5", crc32c: "mnG7TA==", componentCount: 2, contentType: "text/x" });
  t.is(json["md5Hash"], undefined);
  t.is((await gcs.media("c")).headers["x-goog-hash"], "crc32c=mnG7TA==");
  const appended = await compose("c", [
    { name: "c", generation: json["generation"] },
    { name: "a" },
    { name: "a" },
  ]);
  t.like(appended.json, { size: "9", componentCount: 4 });
  t.is((await gcs.media("c")).text, "hellohehe");
  t.is((await compose("d", [{ name: "a" }], { deleteSourceObjects: true })).status, 200);
  t.false(await exists(gcs, "a"));
});

test("compose refuses none, too many, missing and unexpected sources", async (t) => {
  const gcs = await session(t);
  await gcs.put("a", "");
  const statusOf = async (sourceObjects: object[], query = "") =>
    (await gcs.send("POST", `${objectPath("c")}/compose${query}`, { body: { sourceObjects } })).status;
  t.is(await statusOf([]), 400);
  t.is(await statusOf(Array.from({ length: 33 }, () => ({ name: "a" }))), 400);
  t.is(await statusOf([{ name: "none" }]), 404);
  t.is(await statusOf([{ name: "a", generation: "7" }]), 404);
  t.is(await statusOf([{ name: "a", objectPreconditions: { ifGenerationMatch: "7" } }]), 412);
  t.is(await statusOf([{ name: "a" }], "?ifGenerationMatch=7"), 412);
  t.is(
    await statusOf(
      Array.from({ length: 32 }, () => ({ name: "a" })),
      "?ifGenerationMatch=0",
    ),
    200,
  );
});
