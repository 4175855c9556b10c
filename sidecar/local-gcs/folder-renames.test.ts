import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { folderPath, objectPath, session, spawnServer, temporaryDirectory, type Client } from "./testing.ts";

const rename = (gcs: Client, from: string, to: string, query = "") =>
  gcs.send("POST", `${folderPath(from)}/renameTo/folders/${encodeURIComponent(to)}${query}`);
const make = (gcs: Client, name: string) =>
  gcs.send("POST", `${folderPath()}?recursive=true`, { body: { name } });

const settings = (gcs: Client, body: object) => gcs.send("PUT", "/admin/folder-renames", { body });

async function names(gcs: Client): Promise<string[]> {
  const { json } = await gcs.get("/storage/v1/b/bkt/o?fields=items/name");
  return ((json["items"] ?? []) as { name: string }[]).map(({ name }) => name);
}

/** The operation, by its own address. */
async function operation(gcs: Client, begun: Record<string, unknown>) {
  const { pathname } = new URL(String(begun["selfLink"]));
  return (await gcs.get(pathname)).json;
}

test("a folder is renamed with everything in it, in the first answer; all of it stays the same", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  const { json: object } = await gcs.put("a/b/x", "hello");
  await gcs.put("a-b", "beside it");
  await make(gcs, "a/empty/");
  const { json: before } = await gcs.get(folderPath("a/"));
  const { json } = await rename(gcs, "a/", "z");
  t.like(json, { kind: "storage#operation", done: true, metadata: { sourceFolderId: "a/" } });
  t.like(json["response"], {
    name: "projects/_/buckets/bkt/folders/z/",
    createTime: before["createTime"],
    metageneration: "1",
  });
  t.deepEqual(await names(gcs), ["a-b", "z/b/x"]);
  t.is((await gcs.media("z/b/x")).text, "hello");
  t.is((await gcs.get(objectPath("z/b/x"))).json["generation"], object["generation"]);
  t.is((await gcs.get(folderPath("z/empty/"))).status, 200);
  t.is((await gcs.get(folderPath("a/"))).status, 404);
  t.deepEqual(await operation(gcs, json), json);
  const { json: all } = await gcs.get("/storage/v1/b/bkt/operations");
  t.deepEqual(all["operations"], [json]);
});

test("what cannot be renamed is refused at once", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  for (const name of ["a/b/", "taken/"]) await make(gcs, name);
  const message = async (reply: ReturnType<typeof rename>) => {
    const { status, text } = await reply;
    return `${status} ${/"message":"([^"]*)"/.exec(text)?.[1]}`;
  };
  t.is(await message(rename(gcs, "absent/", "b/")), "404 The folder does not exist.");
  t.is(await message(rename(gcs, "a/", "taken/")), "409 The folder you tried to create already exists.");
  t.is(await message(rename(gcs, "a/", "no/parent/")), "409 The parent folder does not exist.");
  t.regex(await message(rename(gcs, "a/", "a/b/c/")), /^400 .*below itself/);
  t.regex(await message(rename(gcs, "a/", "b/", "?ifSourceMetagenerationMatch=9")), /^412/);
  t.is((await rename(gcs, "a/", "b/", "?ifSourceMetagenerationMatch=1")).status, 200);
  t.is((await gcs.get("/storage/v1/b/bkt/operations/nonsense")).status, 404);
});

test("while it runs a rename lets read and not write, on both sides; then all of it has moved", async (t) => {
  const gcs = await session(t, { hierarchical: true, admin: true });
  await gcs.put("a/x", "hello");
  await settings(gcs, { takesMs: 2000 });
  const { json: begun } = await rename(gcs, "a/", "b/");
  t.like(begun, { done: false, response: undefined });
  t.is((await gcs.media("a/x")).text, "hello");
  t.like((await gcs.get(folderPath("a/"))).json, {
    pendingRenameInfo: { operationId: String(begun["name"]).split("/").at(-1) },
  });
  for (const refused of [
    await gcs.put("a/y", ""),
    await gcs.put("b/y", ""),
    await gcs.send("DELETE", objectPath("a/x")),
    await gcs.send("PATCH", objectPath("a/x"), { body: { metadata: { k: "v" } } }),
    await make(gcs, "a/new/"),
    await gcs.send("DELETE", folderPath("a/")),
    await rename(gcs, "a/", "c/"),
  ])
    t.is(refused.status, 429, refused.text);
  t.is((await gcs.put("elsewhere", "")).status, 200);
  while ((await operation(gcs, begun))["done"] !== true) await delay(20);
  t.deepEqual(await names(gcs), ["b/x", "elsewhere"]);
  t.is((await gcs.put("a/y", "")).status, 200);
});

test("a rename that fails leaves everything where it was", async (t) => {
  const gcs = await session(t, { hierarchical: true, admin: true });
  await gcs.put("a/x", "hello");
  await settings(gcs, { fails: true });
  t.like((await rename(gcs, "a/", "b/")).json, { done: true, error: { code: 10 }, response: undefined });
  t.deepEqual(await names(gcs), ["a/x"]);
});

test("objects can be given new generations as their folder is renamed", async (t) => {
  const gcs = await session(t, { hierarchical: true, admin: true });
  const { json: before } = await gcs.put("a/x", "hello");
  await settings(gcs, { newGenerations: true });
  await rename(gcs, "a/", "b/");
  const { json: after } = await gcs.get(objectPath("b/x"));
  t.true(BigInt(String(after["generation"])) > BigInt(String(before["generation"])));
});

test("folders, and renames that were under way, survive the end of the server", async (t) => {
  const directory = await temporaryDirectory(t);
  const options = ["--hierarchical-namespace", "--admin"];
  const first = await spawnServer(t, directory, options);
  await make(first, "empty/");
  await first.put("a/x", "hello");
  await settings(first, { takesMs: 60_000 });
  const { json: begun } = await rename(first, "a/", "b/");
  await first.kill();
  const next = await spawnServer(t, directory, options);
  t.like(await operation(next, begun), { done: true });
  t.is((await next.media("b/x")).text, "hello");
  for (const name of ["empty/", "b/"]) t.is((await next.get(folderPath(name))).status, 200, name);
});
