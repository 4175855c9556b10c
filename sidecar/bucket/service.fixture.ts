// A service for tests: one handler decides every answer, and what was asked is remembered.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import type { ExecutionContext } from "ava";

import { createLog } from "../telemetry/log.ts";
import type { UploadSource } from "./bucket.ts";
import { openBucket, type BucketOptions, type MeasuredBucket } from "./client.ts";
import { crc32cOf, encodeCrc32c } from "./crc32c.ts";

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

export interface Service {
  readonly url: string;
  readonly asked: Asked[];
}

/** Starts a server that ends with the test. */
export async function serve(
  t: ExecutionContext,
  handle: (request: IncomingMessage, response: ServerResponse, count: number) => unknown,
): Promise<Service> {
  const asked: Asked[] = [];
  const failures: unknown[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers });
    void Promise.resolve(handle(request, response, asked.length)).catch((error: unknown) => {
      if (request.errored === null) failures.push(error); // a client that gives up is no fault
      response.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
    if (failures.length > 0) throw new AggregateError(failures, String(failures[0]));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** A bucket for tests at `endpoint`, which ends with the test. Patient unless told otherwise: test machines are busy. */
export function bucketAt(
  t: ExecutionContext,
  endpoint: string,
  options: Partial<BucketOptions> = {},
): MeasuredBucket & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = createLog("debug", { write: (line) => lines.push(line) });
  const defaults = { bucket: "b", endpoint, deadlineMs: 30_000, metadataDeadlineMs: 20_000, log };
  const bucket = openBucket({ ...defaults, ...options });
  t.teardown(() => bucket.close());
  return { ...bucket, lines };
}

/** An object resource as the service would send it. */
export function resource(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    kind: "storage#object",
    name: "a",
    generation: "7",
    metageneration: "1",
    size: "0",
    crc32c: encodeCrc32c(0),
    timeCreated: "2026-01-02T03:04:05.678Z",
    updated: "2026-01-02T03:04:06.789Z",
    ...fields,
  };
}

export function sendJson(response: ServerResponse, status: number, json: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(json));
}

/** A refusal in the service's own form. */
export function refuse(response: ServerResponse, status: number, reason: string, message = reason): void {
  sendJson(response, status, {
    error: { code: status, message, errors: [{ message, domain: "global", reason }] },
  });
}

/** Bytes to upload from memory. */
export function bytesSource(bytes: Buffer): UploadSource {
  return { kind: "bytes", bytes, crc32c: crc32cOf(bytes) };
}

/** The request's whole body. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}
