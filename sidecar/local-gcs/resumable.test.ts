import test from "ava";
import { connect } from "node:net";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { objectPath, session, type Client } from "./testing.ts";

const step = 256 * 1024;

async function put(gcs: Client, path: string, range: string, body: string | Buffer = "") {
  const { status, headers, text } = await gcs.send("PUT", path, {
    body,
    headers: { "content-range": range },
  });
  return {
    status,
    range: headers.range,
    size: status === 200 ? (JSON.parse(text) as { size: string }).size : undefined,
  };
}

/**
 * Starts an upload, sends `body` as the beginning of `length` bytes, and asks what arrived: after the connection is
 * cut, or while it waits for the rest, which the question then ends. A busy server may not have taken in all that was sent by then, so there are
 * further attempts, each with twice the time. Returns the last upload and what it keeps.
 */
async function sendBeginning(
  gcs: Client,
  range: string,
  length: number,
  body: Buffer,
  kept: string,
  { cut }: { cut: boolean },
): Promise<{ path: string; range: string | undefined }> {
  const { hostname, port } = new URL(gcs.url);
  for (let waitMs = 100; ; waitMs *= 2) {
    const path = await gcs.startUpload("x");
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    socket.write(
      `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\nContent-Range: ${range}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.write(body, resolve));
    await delay(waitMs);
    if (cut) await new Promise((resolve) => socket.once("close", resolve).destroy());
    const found = (await put(gcs, path, "bytes */*")).range;
    socket.destroy();
    if (found === kept || waitMs > 5000) return { path, range: found };
  }
}

test("an upload in chunks is told how far it is and becomes an object with the last one", async (t) => {
  const gcs = await session(t);
  const bytes = randomBytes(2 * step + 1000);
  const path = await gcs.startUpload("x", { metadata: { k: "v" }, contentType: "text/plain" });
  t.deepEqual(await put(gcs, path, "bytes */*"), { status: 308, range: undefined, size: undefined });
  const first = await put(gcs, path, `bytes 0-${step - 1}/*`, bytes.subarray(0, step));
  t.deepEqual(first, { status: 308, range: `bytes=0-${step - 1}`, size: undefined });
  t.is((await gcs.get(objectPath("x"))).status, 404);
  const query = await put(gcs, path, `bytes */${bytes.length}`);
  t.deepEqual(query, { status: 308, range: `bytes=0-${step - 1}`, size: undefined });
  const last = await put(
    gcs,
    path,
    `bytes ${step}-${bytes.length - 1}/${bytes.length}`,
    bytes.subarray(step),
  );
  t.is(last.status, 200);
  t.true((await gcs.media("x")).bytes.equals(bytes));
  t.like((await gcs.get(objectPath("x"))).json, { metadata: { k: "v" }, contentType: "text/plain" });
  t.deepEqual(await put(gcs, path, "bytes */*"), {
    status: 200,
    range: undefined,
    size: String(bytes.length),
  });
});

test("a whole body in one PUT needs no Content-Range, or one without an end", async (t) => {
  const gcs = await session(t);
  for (const range of [undefined, "bytes 0-*/*", "bytes 0-*/5", "bytes 0-4/5"]) {
    const path = await gcs.startUpload(`x${range}`);
    const headers: Record<string, string> = range === undefined ? {} : { "content-range": range };
    t.is((await gcs.send("PUT", path, { body: "hello", headers })).status, 200, range);
    t.is((await gcs.media(`x${range}`)).text, "hello", range);
  }
});

test("an empty object can be uploaded in every form", async (t) => {
  const gcs = await session(t);
  for (const range of [undefined, "bytes 0-*/*", "bytes */0"]) {
    const path = await gcs.startUpload(`empty${range}`);
    const headers: Record<string, string> = range === undefined ? {} : { "content-range": range };
    const { json } = await gcs.send("PUT", path, { body: "", headers });
    t.is(json["size"], "0", range);
  }
});

test("naming the total of what is persisted finishes an upload of unknown length", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x");
  await put(gcs, path, `bytes 0-${step - 1}/*`, Buffer.alloc(step, "a"));
  t.is((await put(gcs, path, `bytes */${step}`)).size, String(step));
});

test("bytes that are sent again are skipped, a gap is refused", async (t) => {
  const gcs = await session(t);
  const bytes = randomBytes(2 * step);
  const path = await gcs.startUpload("x");
  await put(gcs, path, `bytes 0-${step - 1}/*`, bytes.subarray(0, step));
  t.is(
    (await put(gcs, path, `bytes ${step + 1}-${2 * step - 1}/${2 * step}`, bytes.subarray(step + 1))).status,
    400,
  );
  t.is((await put(gcs, path, `bytes 0-${2 * step - 1}/${2 * step}`, bytes)).status, 200);
  t.true((await gcs.media("x")).bytes.equals(bytes));
});

test("a chunk that is not the last must be a multiple of 256 KiB", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x");
  t.is((await put(gcs, path, "bytes 0-999/*", Buffer.alloc(1000))).status, 400);
  t.is((await put(gcs, path, "bytes 0-999/2000", Buffer.alloc(1000))).status, 400);
  t.is((await put(gcs, path, "bytes nonsense")).status, 400);
  t.deepEqual(await put(gcs, path, "bytes */*"), { status: 308, range: undefined, size: undefined });
});

test("what a cut connection delivered is kept in steps of 256 KiB, and the upload goes on from there", async (t) => {
  const gcs = await session(t);
  const bytes = randomBytes(4 * step);
  const range = `bytes 0-${bytes.length - 1}/${bytes.length}`;
  const sent = bytes.subarray(0, 2 * step + 500);
  const kept = `bytes=0-${2 * step - 1}`;
  const upload = await sendBeginning(gcs, range, bytes.length, sent, kept, { cut: true });
  t.is(upload.range, kept);
  const rest = `bytes ${2 * step}-${bytes.length - 1}/${bytes.length}`;
  t.is((await put(gcs, upload.path, rest, bytes.subarray(2 * step))).status, 200);
  t.true((await gcs.media("x")).bytes.equals(bytes));
});

test("a question about an upload does not wait for a connection that stopped sending", async (t) => {
  const gcs = await session(t);
  const kept = `bytes=0-${step - 1}`;
  const sent = Buffer.alloc(step + 10);
  const upload = await sendBeginning(gcs, "bytes 0-*/*", 4 * step, sent, kept, { cut: false });
  t.is(upload.range, kept);
});

test("preconditions are judged when the object is made", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x", {}, "&ifGenerationMatch=0");
  await gcs.put("x", "somebody else's");
  t.is((await put(gcs, path, "bytes 0-*/*", "mine")).status, 412);
  t.is((await gcs.media("x")).text, "somebody else's");
});

test("a checksum that does not match makes no object and ends the session", async (t) => {
  const gcs = await session(t);
  const byMetadata = await gcs.startUpload("x", { crc32c: "AAAAAA==" });
  t.is((await put(gcs, byMetadata, "bytes 0-*/*", "hello")).status, 400);
  t.is((await put(gcs, byMetadata, "bytes */*")).status, 410);
  const byHeader = await gcs.startUpload("x");
  const headers = { "content-range": "bytes 0-4/5", "x-goog-hash": "crc32c=AAAAAA==" };
  t.is((await gcs.send("PUT", byHeader, { body: "hello", headers })).status, 400);
  t.is((await gcs.get(objectPath("x"))).status, 404);
});

test("an upload that was announced with another length is refused", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x", {}, "", { "x-upload-content-length": "7" });
  t.is((await put(gcs, path, "bytes 0-4/5", "hello")).status, 400);
});

test("a cancelled session answers 499, an unknown one 404", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x");
  t.is((await gcs.send("DELETE", path)).status, 499);
  t.is((await put(gcs, path, "bytes */*")).status, 499);
  t.is((await put(gcs, path.replace(/upload_id=.*/, "upload_id=none"), "bytes */*")).status, 404);
});

test("a client that cannot see 308 is told by a header", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x");
  const headers = { "content-range": `bytes 0-${step - 1}/*`, "x-guploader-no-308": "yes" };
  const reply = await gcs.send("POST", path, { body: Buffer.alloc(step), headers });
  t.is(reply.status, 200);
  t.is(reply.headers["x-http-status-code-override"], "308");
  t.is(reply.headers.range, `bytes=0-${step - 1}`);
});

test("a finished upload answers with its object even if the object is gone since", async (t) => {
  const gcs = await session(t);
  const path = await gcs.startUpload("x");
  await put(gcs, path, "bytes 0-*/*", "hello");
  await gcs.send("DELETE", objectPath("x"));
  t.is((await put(gcs, path, "bytes 0-*/*", "hello")).size, "5");
  t.is((await gcs.get(objectPath("x"))).status, 404);
});
