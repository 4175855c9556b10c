// Sends and receives one large object and prints how much memory that took at most. Run by memory.test.ts.

import { open } from "node:fs/promises";
import { performance } from "node:perf_hooks";

import { createLog } from "../telemetry/log.ts";
import { openBucket } from "./client.ts";
import { crc32cOf } from "./crc32c.ts";

const [endpoint = "", name = "", path = ""] = process.argv.slice(2);
const bucket = openBucket({
  bucket: name,
  endpoint,
  deadlineMs: 60_000,
  metadataDeadlineMs: 60_000,
  log: createLog("silent"),
});
const file = await open(path, "r");
const { size } = await file.stat();
let checksum = 0;
const buffer = Buffer.alloc(1024 * 1024);
for (let at = 0; at < size;) {
  const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
  checksum = crc32cOf(buffer.subarray(0, bytesRead), checksum);
  at += bytesRead;
}

await bucket.stat("warm");
const before = process.memoryUsage.rss();
let most = before;
const sampling = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10);
let started = performance.now();
const source = { kind: "file", descriptor: file.fd, size, crc32c: checksum } as const;
const { value } = await bucket.insert("large", source, "absent", {}, { operationId: "m:1" });
const uploadMs = performance.now() - started;
const uploadBytes = most - before;

most = process.memoryUsage.rss();
const middle = most;
started = performance.now();
let received = 0;
for await (const chunk of bucket.read(value)) received += chunk.length;
const downloadMs = performance.now() - started;
clearInterval(sampling);
process.stdout.write(
  JSON.stringify({
    received,
    uploadBytes,
    uploadMs,
    downloadBytes: most - middle,
    downloadMs,
    mostBytes: most,
  }),
);
await file.close();
await bucket.close();
