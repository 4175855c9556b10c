import test from "ava";
import { folderPath, session } from "./testing.ts";

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

const hierarchical = {
  hierarchicalNamespace: { enabled: true },
  iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
};

test("the storage layout tells whether a bucket is hierarchical", async (t) => {
  const gcs = await session(t);
  await gcs.send("POST", "/storage/v1/b?project=p", { body: { name: "folders", ...hierarchical } });
  const layout = async (bucket: string) => (await gcs.get(`/storage/v1/b/${bucket}/storageLayout`)).json;
  t.like(await layout("folders"), {
    kind: "storage#storageLayout",
    hierarchicalNamespace: { enabled: true },
  });
  t.deepEqual(await layout("bkt"), {
    kind: "storage#storageLayout",
    bucket: "bkt",
    location: "US",
    locationType: "multi-region",
  });
});

test("a hierarchical bucket needs uniform access and refuses versions and retention; it stays what it is", async (t) => {
  const gcs = await session(t);
  const make = (settings: object) =>
    gcs.send("POST", "/storage/v1/b?project=p", { body: { name: "folders", ...settings } });
  const { hierarchicalNamespace } = hierarchical;
  t.regex((await make({ hierarchicalNamespace })).text, /must use uniform bucket-level access/);
  t.regex(
    (await make({ ...hierarchical, versioning: { enabled: true } })).text,
    /Versioning is not supported/,
  );
  t.is((await make({ ...hierarchical, retentionPolicy: { retentionPeriod: "60" } })).status, 400);
  t.is((await make(hierarchical)).status, 200);
  const flat = { hierarchicalNamespace: { enabled: false } };
  const patched = await gcs.send("PATCH", "/storage/v1/b/folders", { body: flat });
  t.like(patched.json, { hierarchicalNamespace: { enabled: true }, metageneration: "2" });
  const enabled = await gcs.send("PATCH", "/storage/v1/b/bkt", { body: { hierarchicalNamespace } });
  t.is(enabled.status, 200);
  t.is(enabled.json["hierarchicalNamespace"], undefined);
});

test("the server makes its buckets hierarchical when told to, and says so where it cannot", async (t) => {
  const gcs = await session(t, { hierarchical: true });
  t.like((await gcs.get("/storage/v1/b/bkt")).json, hierarchical);
  t.is((await gcs.send("POST", folderPath(), { body: { name: "a" } })).status, 200);
  t.is((await gcs.send("DELETE", "/storage/v1/b/bkt")).status, 409, "a folder is something");
  t.is((await gcs.send("DELETE", folderPath("a/"))).status, 204);
  t.is((await gcs.send("DELETE", "/storage/v1/b/bkt")).status, 204);
});

test("everyone has every permission on a bucket that exists", async (t) => {
  const gcs = await session(t);
  const path =
    "/storage/v1/b/bkt/iam/testPermissions?permissions=storage.objects.get&permissions=storage.objects.list";
  t.deepEqual((await gcs.get(path)).json["permissions"], ["storage.objects.get", "storage.objects.list"]);
});
