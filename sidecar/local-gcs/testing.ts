// A server of its own for each test, and a client so plain that a test shows every byte of a request.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { createLog } from "../telemetry/log.ts";
import { startLocalGcs, type LocalGcs } from "./server.ts";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** The body as a JSON object. */
  readonly json: Record<string, unknown>;
}

export interface Sent {
  readonly body?: string | Buffer | object;
  readonly headers?: Record<string, string>;
}

export class Client {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** One request. An object as body is sent as JSON; rejects if the connection is lost. */
  send(verb: string, path: string, { body, headers = {} }: Sent = {}): Promise<Reply> {
    const isRaw = body === undefined || typeof body === "string" || Buffer.isBuffer(body);
    const bytes = Buffer.from(isRaw ? (body ?? "") : JSON.stringify(body));
    const type: Record<string, string> = isRaw ? {} : { "content-type": "application/json" };
    const length: Record<string, string> =
      body === undefined ? {} : { "content-length": String(bytes.length) };
    return new Promise((resolve, reject) => {
      const sent = request(
        this.url + path,
        { method: verb, headers: { ...type, ...length, ...headers } },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", reject);
          answer.on("end", () =>
            resolve(replyOf(answer.statusCode ?? 0, answer.headers, Buffer.concat(chunks))),
          );
        },
      );
      sent.on("error", reject);
      sent.end(bytes);
    });
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Reply> {
    return this.send("GET", path, { headers });
  }

  /** Inserts an object with uploadType=media. `query` is more of the query, such as `&ifGenerationMatch=0`. */
  put(name: string, body: string | Buffer, query = "", headers: Record<string, string> = {}): Promise<Reply> {
    const path = `/upload/storage/v1/b/bkt/o?uploadType=media&name=${encodeURIComponent(name)}${query}`;
    return this.send("POST", path, { body, headers });
  }

  /** An object's bytes. */
  media(name: string, headers: Record<string, string> = {}): Promise<Reply> {
    return this.get(`${objectPath(name)}?alt=media`, headers);
  }

  /** Starts a resumable upload; resolves with the session's path on this server. */
  async startUpload(name: string, metadata: object = {}, query = "", headers: Record<string, string> = {}) {
    const path = `/upload/storage/v1/b/bkt/o?uploadType=resumable&name=${encodeURIComponent(name)}${query}`;
    const { headers: answered } = await this.send("POST", path, { body: metadata, headers });
    return (answered.location ?? "").replace(this.url, "");
  }
}

/** A running server with the bucket `bkt`, stopped and removed when the test ends. */
export async function session(
  t: ExecutionContext,
  { admin = false, hierarchical = false } = {},
): Promise<Client & { server: LocalGcs }> {
  const directory = await temporaryDirectory(t);
  const log = createLog("silent");
  const options = { directory, port: 0, host: "127.0.0.1", buckets: ["bkt"], hierarchical, admin, log };
  const server = await startLocalGcs(options);
  t.teardown(() => server.close());
  return Object.assign(new Client(server.url), { server });
}

export interface ServerProcess extends Client {
  readonly pid: number;
  /** Ends the process as a power cut would end it. */
  kill(): Promise<void>;
}

/** A server in a process of its own; rejects with what it printed if it does not start. */
export async function spawnServer(
  t: ExecutionContext,
  directory: string,
  more: readonly string[] = [],
): Promise<ServerProcess> {
  const entry = fileURLToPath(new URL("serve.ts", import.meta.url));
  const child = spawn(process.execPath, [entry, directory, "--bucket", "bkt", ...more], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  t.teardown(kill);
  const complaints: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => complaints.push(chunk));
  const [line] = (await Promise.race([once(child.stdout, "data"), ended])) as [Buffer | number | null];
  if (!Buffer.isBuffer(line)) throw new Error(Buffer.concat(complaints).toString("utf8"));
  const { url } = JSON.parse(line.toString("utf8")) as { url: string };
  return Object.assign(new Client(url), { pid: child.pid ?? 0, kill });
}

export async function temporaryDirectory(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "local-gcs-"));
  // Teardowns run last to first: whatever uses the directory has been stopped by then.
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export function folderPath(name = "", bucket = "bkt"): string {
  return `/storage/v1/b/${bucket}/folders${name === "" ? "" : `/${encodeURIComponent(name)}`}`;
}

export function objectPath(name: string, bucket = "bkt"): string {
  return `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`;
}

function replyOf(status: number, headers: IncomingHttpHeaders, bytes: Buffer): Reply {
  const text = bytes.toString("utf8");
  return {
    status,
    headers,
    bytes,
    text,
    get json() {
      return JSON.parse(text) as Record<string, unknown>;
    },
  };
}
