import test from "ava";
import { folderPath, objectPath, session, type Client } from "./testing.ts";

const make = (gcs: Client, name: string, query = "") =>
  gcs.send("POST", `${folderPath()}${query}`, { body: { name } });
const remove = (gcs: Client, name: string, query = "") => gcs.send("DELETE", `${folderPath(name)}${query}`);

async function folders(gcs: Client, query = ""): Promise<string[]> {
  const { json } = await gcs.get(`${folderPath()}?fields=items/name${query}`);
  return ((json["items"] ?? []) as { name: string }[]).map(({ name }) => name);
}

async function listed(gcs: Client, query: string): Promise<Record<string, unknown>> {
  return (await gcs.get(`/storage/v1/b/bkt/o?fields=items/name,prefixes&delimiter=/${query}`)).json;
}

test("a folder is made, looked at, listed and removed", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  const made = await make(gcs, "a");
  t.like(made.json, { kind: "storage#folder", id: "bkt/a/", name: "a/", bucket: "bkt", metageneration: "1" });
  t.regex(String(made.json["createTime"]), /^\d{4}-.*Z$/);
  t.deepEqual((await gcs.get(folderPath("a"))).json, made.json);
  t.is((await remove(gcs, "a/", "?ifMetagenerationMatch=2")).status, 412);
  t.is((await remove(gcs, "a/")).status, 204);
  for (const gone of [await gcs.get(folderPath("a/")), await remove(gcs, "a/")]) {
    t.is(gone.status, 404);
    t.regex(gone.text, /The folder does not exist\./);
  }
});

test("a folder needs its parent, unless it may be made as well; what exists cannot be made", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  const orphan = await make(gcs, "a/b/c/");
  t.is(orphan.status, 409);
  t.regex(orphan.text, /The parent folder does not exist\./);
  t.is((await make(gcs, "a/b/c/", "?recursive=true")).status, 200);
  const again = await make(gcs, "a/b/c/", "?recursive=true");
  t.is(again.status, 409);
  t.regex(again.text, /The folder you tried to create already exists\./);
  t.deepEqual(await folders(gcs), ["a/", "a/b/", "a/b/c/"]);
});

test("objects bring their folders with them, however they are made, and leave them behind", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  await gcs.put("a/b/put", "x");
  await gcs.send("POST", `${objectPath("a/b/put")}/rewriteTo/b/bkt/o/${encodeURIComponent("c/copied")}`);
  await gcs.send("POST", `${objectPath("d/composed")}/compose`, {
    body: { sourceObjects: [{ name: "a/b/put" }] },
  });
  await gcs.send("POST", `${objectPath("c/copied")}/moveTo/o/${encodeURIComponent("e/f/moved")}`);
  const upload = await gcs.startUpload("g/sent", {}, "", { "x-upload-content-length": "1" });
  await gcs.send("PUT", upload, { body: "x", headers: { "content-range": "bytes 0-0/1" } });
  await gcs.put("h/", "");
  await gcs.put("top", "x");
  for (const name of ["a/b/put", "d/composed", "e/f/moved", "g/sent", "h/"])
    t.is((await gcs.send("DELETE", objectPath(name))).status, 204, name);
  t.deepEqual(await folders(gcs), ["a/", "a/b/", "c/", "d/", "e/", "e/f/", "g/", "h/"]);
});

test("a folder with objects or folders in it is not removed; an object of its own name is in it", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  await gcs.put("a/b/x", "x");
  await gcs.put("c/", "");
  for (const name of ["a/", "a/b/", "c/"]) {
    const refused = await remove(gcs, name);
    t.is(refused.status, 409);
    t.regex(refused.text, /The folder you tried to delete is not empty\./);
  }
  await gcs.put("a.", "a neighbour that sorts before what is in a/");
  await gcs.put("a0", "one that sorts behind it");
  for (const name of ["a/b/x", "c/"]) await gcs.send("DELETE", objectPath(name));
  for (const name of ["a/b/", "a/", "c/"]) t.is((await remove(gcs, name)).status, 204);
});

test("a listing shows folders as prefixes if it is asked to, empty ones too", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  await make(gcs, "empty/");
  await make(gcs, "full/empty/", "?recursive=true");
  await gcs.put("full/x", "x");
  await gcs.put("marked/", "");
  t.deepEqual(await listed(gcs, ""), { prefixes: ["full/", "marked/"] });
  const all = "&includeFoldersAsPrefixes=true";
  t.deepEqual(await listed(gcs, all), { prefixes: ["empty/", "full/", "marked/"] });
  t.deepEqual(await listed(gcs, `${all}&prefix=full/`), {
    items: [{ name: "full/x" }],
    prefixes: ["full/empty/"],
  });
  t.deepEqual(await listed(gcs, `${all}&prefix=empty/`), {});
  t.deepEqual(await listed(gcs, `${all}&prefix=marked/`), { items: [{ name: "marked/" }] });
  t.deepEqual(await listed(gcs, `${all}&startOffset=empty&endOffset=empty0`), { prefixes: ["empty/"] });
  const recursive = await gcs.get("/storage/v1/b/bkt/o?includeFoldersAsPrefixes=true");
  t.is(recursive.status, 400);
});

test("folders are listed in pages, below a prefix, or one level of them", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  for (const name of ["m/", "n/o/p/", "n/q/"]) await make(gcs, name, "?recursive=true");
  t.deepEqual(await folders(gcs), ["m/", "n/", "n/o/", "n/o/p/", "n/q/"]);
  t.deepEqual(await folders(gcs, "&prefix=n/"), ["n/", "n/o/", "n/o/p/", "n/q/"]);
  t.deepEqual(await folders(gcs, "&prefix=n/&delimiter=/"), ["n/", "n/o/", "n/q/"]);
  t.deepEqual(await folders(gcs, "&delimiter=/"), ["m/", "n/"]);
  t.deepEqual(await folders(gcs, "&startOffset=n&endOffset=n/q/"), ["n/", "n/o/", "n/o/p/"]);
  t.is((await gcs.get(`${folderPath()}?prefix=n`)).status, 400);
  const names: string[] = [];
  for (let token = ""; ;) {
    const { json } = await gcs.get(`${folderPath()}?pageSize=2&pageToken=${token}`);
    names.push(...(json["items"] as { name: string }[]).map(({ name }) => name));
    if (json["nextPageToken"] === undefined) break;
    token = json["nextPageToken"] as string;
  }
  t.deepEqual(names, ["m/", "n/", "n/o/", "n/o/p/", "n/q/"]);
});

test("a folder's name has 512 bytes and 50 levels at most, also where an object would make it", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  t.is((await make(gcs, `${"a".repeat(511)}/`)).status, 200);
  t.is((await make(gcs, `${"a".repeat(512)}/`)).status, 400);
  t.is((await make(gcs, "b/".repeat(50), "?recursive=true")).status, 200);
  t.is((await make(gcs, "c/".repeat(51), "?recursive=true")).status, 400);
  t.is((await gcs.put(`${"d/".repeat(51)}x`, "x")).status, 400);
  t.is((await make(gcs, "")).status, 400);
  t.deepEqual(
    (await folders(gcs)).filter((name) => /^[cd]/.test(name)),
    [],
  );
});

test("a flat bucket has no folders, and says so", async (t) => {
  const gcs = await session(t);
  await gcs.put("a/x", "x");
  const rename = gcs.send("POST", `${folderPath("a/")}/renameTo/folders/b%2F`);
  const calls = [
    await make(gcs, "a/"),
    await gcs.get(folderPath("a/")),
    await gcs.get(folderPath()),
    await rename,
  ];
  for (const { status, text } of calls) {
    t.is(status, 409);
    t.regex(text, /The bucket does not support hierarchical namespace\./);
  }
  t.deepEqual(await listed(gcs, "&includeFoldersAsPrefixes=true"), { prefixes: ["a/"] });
});
