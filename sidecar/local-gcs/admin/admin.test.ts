import { setTimeout as delay } from "node:timers/promises";

import test from "ava";
import { objectPath, session, type Client } from "../testing.ts";
import { parseFaultAction } from "./faults.ts";
import { RequestLog, type RequestRecord } from "./request-log.ts";

const faults = (gcs: Client, ...rules: object[]) => gcs.send("POST", "/admin/faults", { body: rules });

async function logged(gcs: Client, after = 0): Promise<(RequestRecord & { sequence: number })[]> {
  return JSON.parse((await gcs.get(`/admin/requests?after=${after}`)).text) as (RequestRecord & {
    sequence: number;
  })[];
}

test("instructions are read as the storage clients' conformance tests write them", (t) => {
  t.deepEqual(parseFaultAction("return-503"), { kind: "status", status: 503, afterBytes: undefined });
  t.deepEqual(parseFaultAction("return-503-after-256K"), { kind: "status", status: 503, afterBytes: 262144 });
  t.deepEqual(parseFaultAction("return-reset-connection"), { kind: "reset" });
  t.deepEqual(parseFaultAction("return-broken-stream-after-1K"), { kind: "broken-stream", afterBytes: 1024 });
  t.deepEqual(parseFaultAction("stall-for-2s-after-8K"), { kind: "stall", seconds: 2, afterBytes: 8192 });
  t.is(parseFaultAction("return-nonsense"), undefined);
  t.is(parseFaultAction("lost-answer-after-1K"), undefined);
});

test("a retry test is used up by the requests that name it, and by no others", async (t) => {
  const gcs = await session(t, { admin: true });
  await gcs.put("x", "hello");
  const instructions = { "storage.objects.get": ["return-503", "return-reset-connection"] };
  const { json } = await gcs.send("POST", "/retry_test", { body: { instructions } });
  const id = String(json["id"]);
  const named = { "x-retry-test-id": id };
  t.is((await gcs.get(objectPath("x"))).status, 200);
  t.is((await gcs.get(objectPath("x"), named)).status, 503);
  t.like((await gcs.get(`/retry_test/${id}`)).json, { id, completed: false });
  await t.throwsAsync(gcs.get(objectPath("x"), named), { code: "ECONNRESET" });
  t.is((await gcs.get(objectPath("x"), named)).status, 200);
  t.like((await gcs.get(`/retry_test/${id}`)).json, { completed: true });
  t.is((await gcs.send("DELETE", `/retry_test/${id}`)).status, 200);
  t.is((await gcs.get(`/retry_test/${id}`)).status, 404);
  const unknown = { instructions: { "storage.objects.get": ["dance"] } };
  t.is((await gcs.send("POST", "/retry_test", { body: unknown })).status, 400);
});

test("a fault rule strikes the next requests of its method and name", async (t) => {
  const gcs = await session(t, { admin: true });
  await faults(gcs, { method: "storage.objects.insert", name: "a*", action: "return-429", count: 2 });
  t.is((await gcs.put("b", "")).status, 200);
  t.is((await gcs.put("a1", "")).status, 429);
  const body = '--b\r\n\r\n{"name":"a2"}\r\n--b\r\n\r\n\r\n--b--';
  const headers = { "content-type": "multipart/related; boundary=b" };
  t.is(
    (await gcs.send("POST", "/upload/storage/v1/b/bkt/o?uploadType=multipart", { body, headers })).status,
    429,
  );
  t.is((await gcs.put("a1", "")).status, 200);
  t.like(JSON.parse((await gcs.get("/admin/faults")).text), [{ count: 0, struck: 2 }]);
  await faults(gcs, { action: "return-500", fraction: 0 });
  t.is((await gcs.get(objectPath("b"))).status, 200);
  await faults(gcs, { action: "return-500" });
  t.is((await gcs.get(objectPath("b"))).status, 500);
  await gcs.send("DELETE", "/admin/faults");
  t.is((await gcs.get(objectPath("b"))).status, 200);
  await faults(gcs, { action: "return-500", bucket: "bkt" }, { action: "return-500", bucket: "other" });
  await gcs.send("DELETE", "/admin/faults?bucket=bkt");
  t.is((await gcs.get(objectPath("b"))).status, 200);
  t.like(JSON.parse((await gcs.get("/admin/faults")).text), [{ bucket: "other" }]);
  t.is((await faults(gcs, { action: "dance" })).status, 400);
  t.is((await faults(gcs, { count: 1 })).status, 400);
});

test("a lost answer is one to a call that was carried out", async (t) => {
  const gcs = await session(t, { admin: true });
  await faults(gcs, { method: "storage.objects.insert", action: "lost-answer", count: 1 });
  await t.throwsAsync(gcs.put("x", "hello"), { code: "ECONNRESET" });
  t.is((await gcs.media("x")).text, "hello");
});

test("a late insert is carried out when the client has long gone, and by what is there then", async (t) => {
  const gcs = await session(t, { admin: true });
  await faults(gcs, { method: "storage.objects.insert", action: "late-by-2s", count: 2 });
  await t.throwsAsync(gcs.put("x", "late"));
  await t.throwsAsync(gcs.put("y", "late", "&ifGenerationMatch=0"));
  t.is((await gcs.media("x")).status, 404);
  await gcs.put("y", "in time");
  const endMs = Date.now() + 10_000;
  while ((await gcs.media("x")).text !== "late" && Date.now() < endMs) await delay(20);
  t.is((await gcs.media("x")).text, "late");
  await delay(200);
  t.is((await gcs.media("y")).text, "in time");
});

test("a broken stream delivers what it promised and then ends early", async (t) => {
  const gcs = await session(t, { admin: true });
  await gcs.put("x", Buffer.alloc(1_000_000));
  await faults(gcs, { action: "return-broken-stream-after-300K", count: 1 });
  await t.throwsAsync(gcs.media("x"));
  const [read] = (await logged(gcs)).slice(-1);
  t.like(read, { status: 200, responseBytes: 300 * 1024 });
});

test("listings and metadata can stall and break too", async (t) => {
  const gcs = await session(t, { admin: true });
  await gcs.put("x", "");
  const rule = { method: "storage.objects.get", count: 1 };
  await faults(gcs, { ...rule, action: "stall-for-0.2s" });
  const from = performance.now();
  t.is((await gcs.get(objectPath("x"))).status, 200);
  t.true(performance.now() - from >= 190);
  await faults(gcs, { ...rule, action: "return-broken-stream" });
  await t.throwsAsync(gcs.get(objectPath("x")));
  await faults(gcs, { ...rule, action: "return-503-after-0K" });
  t.like(await gcs.media("x").catch(() => undefined), { status: 200 });
  t.like((await gcs.get(objectPath("x"))).json, { error: { code: 503 } });
});

test("an upload that fails midway leaves its session with what had arrived", async (t) => {
  const gcs = await session(t, { admin: true });
  const path = await gcs.startUpload("x");
  await faults(gcs, { action: "return-503-after-600K", count: 1 });
  const headers = { "content-range": "bytes 0-999999/1000000" };
  t.is((await gcs.send("PUT", path, { body: Buffer.alloc(1_000_000), headers })).status, 503);
  const query = await gcs.send("PUT", path, { body: "", headers: { "content-range": "bytes */*" } });
  t.is(query.headers.range, "bytes=0-524287");
  const rest = { "content-range": "bytes 524288-999999/1000000" };
  t.is((await gcs.send("PUT", path, { body: Buffer.alloc(1_000_000 - 524_288), headers: rest })).status, 200);
});

test("latency delays answers and bandwidth stretches bodies", async (t) => {
  const gcs = await session(t, { admin: true });
  await gcs.put("x", Buffer.alloc(100_000));
  await gcs.send("PUT", "/admin/latency", { body: { ms: 50, bytesPerSecond: 1_000_000 } });
  const from = performance.now();
  await gcs.media("x");
  const tookMs = performance.now() - from;
  t.true(tookMs >= 145, `${tookMs} ms`);
  await gcs.send("PUT", "/admin/latency", { body: { ms: 0 } });
  t.is((await gcs.get(objectPath("x"))).status, 200);
});

test("an object written too often is refused with 429 while others are not", async (t) => {
  const gcs = await session(t, { admin: true });
  await gcs.send("PUT", "/admin/object-rate", { body: { writesPerSecond: 1 } });
  t.is((await gcs.put("x", "")).status, 200);
  const refused = await gcs.send("PATCH", objectPath("x"), { body: {} });
  t.like(refused.json, { error: { code: 429, errors: [{ reason: "rateLimitExceeded" }] } });
  t.is((await gcs.put("y", "")).status, 200);
  t.is((await gcs.get(objectPath("x"))).status, 200);
  await gcs.send("PUT", "/admin/object-rate", { body: { writesPerSecond: 0 } });
  t.is((await gcs.put("x", "")).status, 200);
});

test("the request log tells method, object, range, status and bytes of every request but its own", async (t) => {
  const gcs = await session(t, { admin: true });
  await gcs.put("a/b", "hello");
  await gcs.media("a/b", { range: "bytes=1-2" });
  await gcs.get("/storage/v1/b/bkt/o?prefix=a");
  await gcs.get(objectPath("none"));
  const entries = await logged(gcs);
  t.deepEqual(
    entries.map(({ sequence, method, object, status }) => [sequence, method, object, status]),
    [
      [1, "storage.objects.insert", "a/b", 200],
      [2, "storage.objects.get", "a/b", 206],
      [3, "storage.objects.list", "a", 200],
      [4, "storage.objects.get", "none", 404],
    ],
  );
  t.like(entries[0], { bucket: "bkt", requestBytes: 5, query: { uploadType: "media", name: "a/b" } });
  t.like(entries[1], { range: "bytes=1-2", responseBytes: 2, query: { alt: "media" } });
  t.is((await logged(gcs, 3)).length, 1);
  await gcs.send("DELETE", "/admin/requests");
  t.deepEqual(await logged(gcs), []);
  await gcs.get(objectPath("a/b"));
  t.is((await logged(gcs))[0]?.sequence, 5);
});

test("a full request log drops the oldest entries and counts them", (t) => {
  const log = new RequestLog(3);
  const names = (after: number) => log.after(after).map(({ object, sequence }) => `${sequence}${object}`);
  const record = { method: "", verb: "", bucket: "", query: {}, range: undefined, status: 0 };
  for (const object of ["a", "b", "c", "d", "e"]) {
    log.add({ ...record, object, requestBytes: 0, responseBytes: 0, atMs: 0 });
  }
  t.deepEqual(names(0), ["3c", "4d", "5e"]);
  t.is(log.droppedAfter(0), 2);
  t.is(log.droppedAfter(2), 0);
  log.clear();
  t.deepEqual(names(0), []);
});

test("the clock can be set ahead and back; generations grow all the same", async (t) => {
  const gcs = await session(t, { admin: true });
  const hour = 3_600_000;
  await gcs.send("PUT", "/admin/clock", { body: { aheadMs: hour } });
  const ahead = await gcs.put("x", "");
  t.true(Date.parse(ahead.headers.date ?? "") > Date.now() + hour - 60_000);
  t.true(Date.parse(String(ahead.json["timeCreated"])) > Date.now() + hour - 60_000);
  await gcs.send("PUT", "/admin/clock", { body: { aheadMs: 0 } });
  const back = await gcs.put("x", "");
  t.true(BigInt(String(back.json["generation"])) > BigInt(String(ahead.json["generation"])));
  t.true(Date.parse(String(back.json["updated"])) < Date.now() + 60_000);
});
