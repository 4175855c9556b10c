import test from "ava";
import { session } from "./testing.ts";

test("a bucket is made, listed, changed and removed", async (t) => {
  const gcs = await session(t);
  const made = await gcs.send("POST", "/storage/v1/b?project=p", {
    body: { name: "other-bucket", location: "EU" },
  });
  t.like(made.json, { kind: "storage#bucket", name: "other-bucket", location: "EU", metageneration: "1" });
  t.is((await gcs.send("POST", "/storage/v1/b?project=p", { body: { name: "other-bucket" } })).status, 409);
  t.is((await gcs.send("POST", "/storage/v1/b?project=p", { body: { name: "No" } })).status, 400);
  const { json: list } = await gcs.get("/storage/v1/b?project=p&fields=items/name");
  t.deepEqual(list, { items: [{ name: "bkt" }, { name: "other-bucket" }] });
  const patched = await gcs.send("PATCH", "/storage/v1/b/other-bucket", { body: { labels: { a: "b" } } });
  t.like(patched.json, { labels: { a: "b" }, metageneration: "2", location: "EU" });
  t.is((await gcs.send("DELETE", "/storage/v1/b/other-bucket?ifMetagenerationMatch=1")).status, 412);
  t.is((await gcs.send("DELETE", "/storage/v1/b/other-bucket")).status, 204);
  t.regex((await gcs.get("/b/other-bucket")).text, /The specified bucket does not exist\./);
});

test("a bucket with objects is not removed", async (t) => {
  const gcs = await session(t);
  await gcs.put("x", "");
  t.is((await gcs.send("DELETE", "/storage/v1/b/bkt")).status, 409);
});

test("the storage layout tells whether a bucket is hierarchical", async (t) => {
  const gcs = await session(t);
  const body = { name: "folders", hierarchicalNamespace: { enabled: true } };
  await gcs.send("POST", "/storage/v1/b?project=p", { body });
  const layout = async (bucket: string) => (await gcs.get(`/storage/v1/b/${bucket}/storageLayout`)).json;
  t.like(await layout("folders"), {
    kind: "storage#storageLayout",
    hierarchicalNamespace: { enabled: true },
  });
  t.like(await layout("bkt"), { hierarchicalNamespace: { enabled: false }, location: "US" });
});

test("everyone has every permission on a bucket that exists", async (t) => {
  const gcs = await session(t);
  const path =
    "/storage/v1/b/bkt/iam/testPermissions?permissions=storage.objects.get&permissions=storage.objects.list";
  t.deepEqual((await gcs.get(path)).json["permissions"], ["storage.objects.get", "storage.objects.list"]);
});
