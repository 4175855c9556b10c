// Much of it: ten thousand names in a folder, a file of two gigabytes, a large object of which little is wanted.
// What it costs in memory, requests and bytes is asserted; the bytes are checked.

import test, { type ExecutionContext } from "ava";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { mounted, python, session, shell, SETTINGS } from "../helpers/mounted.ts";
import { BucketServer } from "../helpers/bucket-server.ts";
import { Cleanups } from "../helpers/cleanups.ts";

const MB = 1_000_000;
const MIB = 1 << 20;
const MINUTE_MS = 60_000;
/** Longer than anything that follows an operation in the background. */
const QUIET_MS = 1000;

async function localFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sidemount-large-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Resident memory of the server, now and at most, in bytes. */
async function memoryOf(server: BucketServer): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${server.child.pid}/status`, "utf8");
  const read = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { now: read("VmRSS"), peak: read("VmHWM") };
}

async function limitLine(server: BucketServer, bytesPerSecond: number): Promise<void> {
  await fetch(`${server.url}/admin/latency`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ms: 5, bytesPerSecond }),
  });
}

/** Bytes of which no two mebibytes are alike; the programs below make the same. */
const PATTERN = `
import random
bases = [random.Random(i).randbytes(1 << 20) for i in range(8)]
def block(i): return i.to_bytes(8, "big") + bases[i % 8][8:]
def check(path, blocks):
    with open(path, "rb", buffering=0) as f:
        for i in range(blocks):
            got = b""
            while len(got) < 1 << 20:
                part = f.read((1 << 20) - len(got)); assert part, f"short at block {i}"; got += part
            assert got == block(i), f"wrong block {i}"
        assert f.read(1) == b"", "longer than it should be"
`;

/** Names as people give them, 10,000, in the one folder of a server of their own. */
const NAMES = Array.from({ length: 10_000 }, (_, i) => `bild ${i} – größe ${(i * 7919) % 10_000}.jpg`);
const cleanups = new Cleanups();
let crowded: BucketServer;

test.before(async (t) => {
  t.timeout(2 * MINUTE_MS);
  crowded = await BucketServer.start(cleanups);
  const waiting = [...NAMES];
  const put = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
      await crowded.put(`many/${next}`, "x");
  };
  await Promise.all(Array.from({ length: 16 }, put));
});
test.after.always(() => cleanups.run());

for (const { name, options } of SETTINGS) {
  test.serial(`${name}: a folder of 10,000 objects is listed complete, in little memory`, async (t) => {
    t.timeout(2 * MINUTE_MS);
    const mount = await mounted(t, crowded, options);
    await crowded.forgetRequests();

    const listed = (await shell(mount, "LC_ALL=C ls many")).trimEnd().split("\n");
    const sorted = NAMES.map((each) => Buffer.from(each)).sort((a, b) => Buffer.compare(a, b));
    t.deepEqual(listed, sorted.map(String));
    // 10 pages of 1,000 and the look-up of the folder.
    const requests = (await crowded.requests()).map(({ method }) => method);
    t.true(requests.length <= 12, requests.join(" "));
    t.true(requests.every((method) => method === "storage.objects.list"));
    // More than once: what one listing leaves behind must not add up.
    for (let again = 0; again < 2; again += 1)
      t.is((await shell(mount, "ls -l many | tail -n +2 | wc -l")).trim(), "10000");
    t.is((await shell(mount, `cat "many/${NAMES[4321]}"`)).trim(), "x");
    const { peak } = await mount.memory();
    t.log(`${requests.length} requests, worker at most ${(peak / MIB).toFixed(0)} MiB`);
    t.true(peak < 250 * MB, `${(peak / MIB).toFixed(0)} MiB`);
  });

  // As in the setting "daemon" every byte passes through us; a quarter of it shows whether memory grows with it.
  const gigabytes = name === "native" ? 0.5 : 2;
  test.serial(`${name}: a file of ${gigabytes} GB is copied in and out, in little memory`, async (t) => {
    t.timeout(3 * MINUTE_MS);
    const blocks = gigabytes * 1024;
    const local = await localFolder(t);
    const { server, mount } = await session(t, options);
    const before = await memoryOf(server);
    await python(
      mount,
      `${PATTERN}
with open("${local}/source", "wb") as f:
    for i in range(${blocks}): f.write(block(i))`,
    );
    let begun = performance.now();
    await shell(mount, `cp ${local}/source large; cmp ${local}/source large; rm ${local}/source`);
    const inMs = performance.now() - begun;
    t.is((await server.stat("large"))?.size, String(blocks * MIB));
    const writer = (await mount.memory()).peak;
    t.is(await mount.stop(), 0);
    await rm(mount.stateDirectory, { recursive: true });

    // Another machine, which has nothing of it yet.
    const other = await mounted(t, server, options);
    begun = performance.now();
    await shell(other, `cp large ${local}/out`);
    const outMs = performance.now() - begun;
    await python(other, `${PATTERN}\ncheck("${local}/out", ${blocks})`);
    const reader = (await other.memory()).peak;
    const growth = (await memoryOf(server)).peak - before.now;
    t.deepEqual(await server.names(), ["large"]);
    t.log(
      `in ${(inMs / 1000).toFixed(1)} s, out ${(outMs / 1000).toFixed(1)} s; at most: worker that wrote ` +
        `${(writer / MIB).toFixed(0)} MiB, that read ${(reader / MIB).toFixed(0)} MiB, server +${(growth / MIB).toFixed(0)} MiB`,
    );
    t.true(writer < 300 * MB, `${(writer / MIB).toFixed(0)} MiB while writing`);
    t.true(reader < 300 * MB, `${(reader / MIB).toFixed(0)} MiB while reading`);
    t.true(growth < 100 * MB, `the server grew by ${(growth / MIB).toFixed(0)} MiB`);
  });

  test.serial(`${name}: a little of a large cold object costs little, and comes at once`, async (t) => {
    t.timeout(2 * MINUTE_MS);
    const { server, mount } = await session(t, options);
    const data = Buffer.alloc(200 * MB);
    for (let at = 0, i = 0; at < data.length; at += 4096, i += 1)
      createHash("sha256").update(String(i)).digest().copy(data, at);
    await server.put("large", data);
    await server.put("medium", data.subarray(0, 60 * MB));
    // At this rate the whole of it takes ten seconds, the medium one three.
    await limitLine(server, 20 * MB);

    const timed = async (program: string): Promise<{ said: string; ms: number }> => {
      const said = await python(mount, `import hashlib, os, time; begin = time.monotonic()\n${program}`);
      const [answer = "", seconds = ""] = said.trim().split(" ");
      return { said: answer, ms: Number(seconds) * 1000 };
    };
    const sumOf = (part: Buffer): string => createHash("sha256").update(part).digest("hex");
    const read = (file: string, at: number, length: number): string =>
      `fd = os.open("${file}", os.O_RDONLY); got = os.pread(fd, ${length}, ${at}); print(hashlib.sha256(got).hexdigest(), time.monotonic() - begin); os.close(fd)`;

    await server.forgetRequests();
    const middle = await timed(read("large", 100 * MB, 4096));
    t.is(middle.said, sumOf(data.subarray(100 * MB, 100 * MB + 4096)));
    t.true(middle.ms < 1000, `${middle.ms} ms`);
    await delay(QUIET_MS);
    const requests = await server.requests();
    const downloaded = requests.reduce((sum, { responseBytes }) => sum + responseBytes, 0);
    t.true(requests.length <= 2, requests.map(({ method }) => method).join(" "));
    t.true(downloaded <= MB, `${downloaded} bytes downloaded`);

    const first = await timed(read("large", 0, 1));
    t.is(first.said, sumOf(data.subarray(0, 1)));
    t.true(first.ms < 1000, `${first.ms} ms`);
    const firstOfMedium = await timed(read("medium", 0, 1));
    t.is(firstOfMedium.said, sumOf(data.subarray(0, 1)));
    t.true(firstOfMedium.ms < 1000, `${firstOfMedium.ms} ms`);
    t.log(
      `4 KB in the middle: ${middle.ms.toFixed(0)} ms, ${requests.length} requests, ${downloaded} bytes; ` +
        `first byte: ${first.ms.toFixed(0)} ms, of the medium one ${firstOfMedium.ms.toFixed(0)} ms`,
    );

    await limitLine(server, 0);
    t.is((await shell(mount, "sha256sum < large")).split(" ")[0], sumOf(data));
    t.is((await shell(mount, "sha256sum < medium")).split(" ")[0], sumOf(data.subarray(0, 60 * MB)));
    t.is((await shell(mount, "sha256sum < large")).split(" ")[0], sumOf(data), "again, from what was kept");
  });
}
