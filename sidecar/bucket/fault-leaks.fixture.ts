// Fails in every way many times over and prints what that has left: memory, descriptors, timers. Run by
// fault-leaks.test.ts, with the collector at hand (--expose-gc).

import { createServer } from "node:http";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

import { createLog } from "../telemetry/log.ts";
import { openBucket } from "./client.ts";
import { startFaultProxy, type ConnectionFault } from "./fault-proxy.fixture.ts";
import { bytesSource, collect } from "./service.fixture.ts";

const ROUNDS = 12;
const ABREAST = 25;
const DEADLINE_MS = 60;
/** Nobody makes a connection any more when there was none in so many looks of 10 ms: a probe comes each second. */
const QUIET_LOOKS = 150;

let well = false;
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => response.writeHead(well ? 404 : 503).end("what there is not"));
});
const accepted = new Set<Socket>();
server.on("connection", (socket) => {
  accepted.add(socket);
  socket.once("close", () => accepted.delete(socket));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const proxy = await startFaultProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
const limits = { deadlineMs: DEADLINE_MS, metadataDeadlineMs: DEADLINE_MS };
const bucket = openBucket({ bucket: "b", endpoint: proxy.url, ...limits, log: createLog("silent") });

const object = { name: "a", generation: 7n, size: 1_000_000, crc32c: 0 };
const source = bytesSource(Buffer.alloc(300_000));
const faults: (ConnectionFault | undefined)[] = [
  undefined, // 503
  { kind: "reset" },
  { kind: "reset-up", afterBytes: 100 },
  { kind: "end-down", afterBytes: 20 },
  { kind: "swallow" },
];

async function failInEveryWay(): Promise<number> {
  let failed = 0;
  for (const fault of faults) {
    proxy.clear();
    if (fault !== undefined) proxy.strike({ fault });
    const calls = Array.from({ length: ABREAST }, () => [
      bucket.stat("a"),
      bucket.list({ prefix: "" }),
      collect(bucket.read(object)),
      bucket.insert("a", source, "absent", {}, { operationId: "m:1" }),
      bucket.remove("a", 7n),
    ]).flat();
    for (const { status } of await Promise.allSettled(calls)) if (status === "rejected") failed += 1;
  }
  return failed;
}

/**
 * Connections that are kept for later are no leak: they end before anything is counted. So do those that are still being
 * made for calls that have given up, as happens on a busy machine, and the probes of a bucket that is thought to be away.
 */
async function left(): Promise<Record<string, number>> {
  proxy.clear();
  well = true;
  for (let looks = 0, quietLooks = 0; quietLooks < QUIET_LOOKS && looks < 2000; looks += 1) {
    for (const socket of accepted) socket.destroy();
    await delay(10);
    quietLooks = proxy.open() === 0 ? quietLooks + 1 : 0;
  }
  for (let times = 0; times < 3; times += 1) {
    globalThis.gc?.();
    await delay(20);
  }
  well = false;
  return {
    heapBytes: process.memoryUsage().heapUsed,
    outsideBytes: process.memoryUsage().external,
    descriptors: readdirSync("/proc/self/fd").length,
    timers: process.getActiveResourcesInfo().filter((what) => what === "Timeout").length,
    connections: proxy.open(),
  };
}

await failInEveryWay(); // what is loaded and compiled at first use
const before = await left();
let failed = 0;
for (let round = 0; round < ROUNDS; round += 1) failed += await failInEveryWay();
const after = await left();
process.stdout.write(JSON.stringify({ failed, before, after }));
await bucket.close();
await proxy.close();
server.close();
