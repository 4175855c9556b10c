import test, { type ExecutionContext } from "ava";
import { randomBytes, randomInt } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createLog } from "../telemetry/log.ts";
import { startLocalGcs } from "./server.ts";
import { Client, objectPath, session, spawnServer, temporaryDirectory } from "./testing.ts";

const step = 256 * 1024;

/** What one name may hold: what was acknowledged, or what was asked for and not answered. */
interface Name {
  acknowledged: Buffer | undefined;
  asked: Buffer | undefined;
}

interface Upload {
  readonly name: string;
  readonly path: string;
  readonly bytes: Buffer;
  persisted: number;
}

/** Writes, overwrites, moves and deletes its own names until the server is gone. */
async function writeUntilKilled(gcs: Client, worker: string, names: Map<string, Name>): Promise<void> {
  for (let n = 0; ; n += 1) {
    const name = `${worker}/${n % 7}`;
    const known = names.get(name) ?? { acknowledged: undefined, asked: undefined };
    names.set(name, known);
    if (n % 5 === 4 && known.acknowledged !== undefined) {
      known.asked = undefined;
      const { status } = await gcs.send("DELETE", objectPath(name));
      if (status !== 204) throw new Error(`delete: ${status}`);
    } else {
      known.asked = randomBytes(randomInt(1, n % 3 === 0 ? 400_000 : 5_000));
      const { status } = await gcs.put(name, known.asked);
      if (status !== 200) throw new Error(`insert: ${status}`);
    }
    known.acknowledged = known.asked;
  }
}

async function uploadUntilKilled(gcs: Client, upload: Upload): Promise<void> {
  const { path, bytes } = upload;
  while (upload.persisted + step < bytes.length) {
    const end = upload.persisted + step;
    const headers = { "content-range": `bytes ${upload.persisted}-${end - 1}/${bytes.length}` };
    const { status } = await gcs.send("PUT", path, { body: bytes.subarray(upload.persisted, end), headers });
    if (status !== 308) throw new Error(`chunk: ${status}`);
    upload.persisted = end;
    await delay(20);
  }
}

async function checkNames(t: ExecutionContext, gcs: Client, names: Map<string, Name>): Promise<void> {
  for (const [name, known] of names) {
    const { status, bytes } = await gcs.media(name);
    const held = status === 200 ? bytes : undefined;
    const isExpected = [known.acknowledged, known.asked].some((expected) => sameBytes(held, expected));
    t.true(isExpected, `${name}: ${status}, ${bytes.length} bytes`);
    known.acknowledged = held;
    known.asked = held;
  }
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

async function finishUpload(
  t: ExecutionContext,
  gcs: Client,
  { name, path, bytes, persisted }: Upload,
): Promise<void> {
  const query = await gcs.send("PUT", path, {
    body: "",
    headers: { "content-range": `bytes */${bytes.length}` },
  });
  const kept = Number(/-(\d+)$/.exec(query.headers.range ?? "")?.[1] ?? -1) + 1;
  t.is(query.status, 308);
  t.true(kept >= persisted, `${kept} bytes are left of ${persisted} acknowledged`);
  const headers = { "content-range": `bytes ${kept}-${bytes.length - 1}/${bytes.length}` };
  t.is((await gcs.send("PUT", path, { body: bytes.subarray(kept), headers })).status, 200);
  t.true((await gcs.media(name)).bytes.equals(bytes));
}

test("killed at any moment, the server has everything it acknowledged, and nothing else on its disk", async (t) => {
  t.timeout(110_000);
  const directory = await temporaryDirectory(t);
  const names = new Map<string, Name>();
  const untilMs = performance.now() + 15_000;
  for (let round = 0; round < 6 && performance.now() < untilMs; round += 1) {
    const gcs = await spawnServer(t, directory);
    const bytes = randomBytes(60 * step);
    const name = `upload ${round}`;
    const upload = { name, path: await gcs.startUpload(name), bytes, persisted: 0 };
    const works = ["a", "b", "c", "d"].map((worker) => writeUntilKilled(gcs, worker, names));
    const ended = Promise.allSettled([...works, uploadUntilKilled(gcs, upload)]);
    await delay(randomInt(200, 900));
    await gcs.kill();
    for (const end of await ended)
      t.regex(String(end.status === "rejected" && end.reason), /ECONN|hang up|aborted/);
    const again = await spawnServer(t, directory);
    await checkNames(t, again, names);
    await finishUpload(t, again, upload);
    const list = await again.get("/storage/v1/b/bkt/o");
    const files = await readdir(join(directory, "data"));
    t.is(files.length, (list.json["items"] as unknown[]).length);
    await again.kill();
  }
});

test("a second server on the same directory is refused, until the first has ended", async (t) => {
  const directory = await temporaryDirectory(t);
  const first = await spawnServer(t, directory);
  await first.put("x", "hello");
  await t.throwsAsync(spawnServer(t, directory), {
    message: /Another local-gcs server is using this directory/,
  });
  t.is((await first.media("x")).text, "hello");
  await first.kill();
  const second = await spawnServer(t, directory);
  t.is((await second.media("x")).text, "hello");
});

test("after a restart objects, generations and open uploads go on", async (t) => {
  const directory = await temporaryDirectory(t);
  const options = {
    directory,
    port: 0,
    host: "127.0.0.1",
    buckets: ["bkt"],
    admin: true,
    log: createLog("silent"),
  };
  const first = await startLocalGcs(options);
  const before = new Client(first.url);
  await before.send("PUT", "/admin/clock", { body: { aheadMs: 3_600_000 } });
  const { json } = await before.put("gone", "");
  await before.send("DELETE", objectPath("gone"));
  const path = await before.startUpload("x");
  const headers = { "content-range": `bytes 0-${step - 1}/*` };
  await before.send("PUT", path, { body: Buffer.alloc(step, "a"), headers });
  await first.close();
  // Files no object and no session knows are leftovers of uploads that never ended.
  await writeFile(join(directory, "data", "leftover"), "x");

  const second = await startLocalGcs(options);
  t.teardown(() => second.close());
  const after = new Client(second.url);
  t.deepEqual((await readdir(join(directory, "data"))).length, 1);
  const again = await after.put("gone", "");
  t.true(BigInt(String(again.json["generation"])) > BigInt(String(json["generation"])));
  const last = { "content-range": `bytes ${step}-${step + 4}/${step + 5}` };
  t.is((await after.send("PUT", path, { body: "hello", headers: last })).status, 200);
  t.true((await after.media("x")).text.endsWith("ahello"));
});

test("data files go with the last object that uses them", async (t) => {
  const directory = await temporaryDirectory(t);
  const log = createLog("silent");
  const server = await startLocalGcs({
    directory,
    port: 0,
    host: "127.0.0.1",
    buckets: ["bkt"],
    admin: false,
    log,
  });
  t.teardown(() => server.close());
  const gcs = new Client(server.url);
  const files = async () => {
    await delay(50);
    return (await readdir(join(directory, "data"))).length;
  };
  await gcs.put("a", "1");
  await gcs.put("a", "2");
  t.is(await files(), 1);
  await gcs.send("POST", `${objectPath("a")}/copyTo/b/bkt/o/b`);
  await gcs.send("POST", `${objectPath("a")}/moveTo/o/c`);
  t.is(await files(), 1);
  await gcs.send("DELETE", objectPath("b"));
  t.is((await gcs.media("c")).text, "2");
  await gcs.put("c", "3", "&ifGenerationMatch=1");
  t.is(await files(), 1);
  await gcs.send("DELETE", objectPath("c"));
  const path = await gcs.startUpload("x");
  await gcs.send("PUT", path, {
    body: Buffer.alloc(step),
    headers: { "content-range": `bytes 0-${step - 1}/*` },
  });
  t.is(await files(), 1);
  await gcs.send("DELETE", path);
  t.is(await files(), 0);
  const cut = request(`${gcs.url}/upload/storage/v1/b/bkt/o?uploadType=media&name=cut`, { method: "POST" });
  cut.on("error", () => undefined);
  await new Promise((resolve) => cut.write(Buffer.alloc(100_000), resolve));
  t.is(await files(), 1);
  cut.destroy();
  t.is(await files(), 0);
});

test("an upload of 2 GB does not grow the server's memory by 100 MB", async (t) => {
  t.timeout(110_000);
  const gcs = await spawnServer(t, await temporaryDirectory(t));
  await gcs.put("warm", "up");
  const peakBytes = async () =>
    Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${gcs.pid}/status`, "utf8"))?.[1]) * 1024;
  const before = await peakBytes();
  const piece = randomBytes(1024 * 1024);
  const pieces = 2048;
  const size = await new Promise<unknown>((resolve, reject) => {
    const path = `${gcs.url}/upload/storage/v1/b/bkt/o?uploadType=media&name=big&fields=size`;
    const sent = request(path, { method: "POST" }, (answer) => {
      answer.on("data", (chunk: Buffer) => resolve((JSON.parse(chunk.toString()) as { size: string }).size));
    });
    sent.on("error", reject);
    let left = pieces;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!sent.write(piece)) return sent.once("drain", more);
      }
      return sent.end();
    };
    more();
  });
  t.is(size, String(pieces * piece.length));
  const grown = (await peakBytes()) - before;
  t.log(`${Math.round(grown / 1e6)} MB more at the peak`);
  t.true(grown < 100e6, `${grown} bytes`);
  const tail = await gcs.media("big", { range: "bytes=-1048576" });
  t.true(tail.bytes.equals(piece));
});

test("close waits for requests that are being answered", async (t) => {
  const gcs = await session(t);
  const writes = Array.from({ length: 20 }, (_, n) => gcs.put(`${n}`, "x").catch(() => undefined));
  await gcs.server.close();
  t.pass();
  await Promise.all(writes);
});
