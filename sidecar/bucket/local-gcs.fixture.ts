// Our own GCS-compatible server as a process of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import type { ExecutionContext, TestFn } from "ava";

import type { BucketOptions } from "./client.ts";
import { bucketAt } from "./service.fixture.ts";

export interface Fault {
  readonly method?: string;
  readonly name?: string;
  readonly action: string;
  readonly count?: number;
  readonly fraction?: number;
}

export interface LoggedRequest {
  readonly sequence: number;
  readonly method: string;
  readonly bucket: string;
  readonly object: string;
  readonly query: Readonly<Record<string, string>>;
  readonly range?: string;
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

/** What makes a bucket hierarchical. */
export const HIERARCHICAL = {
  hierarchicalNamespace: { enabled: true },
  iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
};

/** A server shared by the tests of a file, each with a bucket of its own. */
export interface LocalGcs {
  readonly url: string;
  readonly pid: number;
  readonly latency: (ms: number, bytesPerSecond?: number) => Promise<void>;
  /** How long folder renames take from now on, and what becomes of them. */
  readonly folderRenames: (settings: { takesMs?: number; fails?: boolean }) => Promise<void>;
  /** A new, empty bucket whose client ends with the test; hierarchical if `settings` are those. */
  readonly session: (
    t: ExecutionContext,
    options?: Partial<BucketOptions>,
    settings?: object,
  ) => Promise<Session>;
}

export interface Session {
  readonly bucket: ReturnType<typeof bucketAt>;
  /** What will go wrong in this bucket, besides what was said before. */
  readonly faults: (...rules: Fault[]) => Promise<void>;
  readonly clearFaults: () => Promise<void>;
  /** What this bucket was asked since the last call. */
  readonly requests: () => Promise<LoggedRequest[]>;
}

/** Starts the server when the file's tests begin and ends it after them. */
export function sharedLocalGcs(test: TestFn): () => LocalGcs {
  let gcs: LocalGcs | undefined;
  let stop: (() => Promise<void>) | undefined;
  test.before(async () => {
    const started = await start();
    ({ gcs, stop } = started);
  });
  test.after.always(() => stop?.());
  return () => gcs as LocalGcs;
}

async function start(): Promise<{ gcs: LocalGcs; stop: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "sidemount-bucket-"));
  const script = join(import.meta.dirname, "../local-gcs/serve.ts");
  const server = spawn(process.execPath, [script, folder, "--port", "0", "--admin"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = async (): Promise<void> => {
    server.kill("SIGKILL");
    if (server.exitCode === null && server.signalCode === null) await once(server, "exit");
    await rm(folder, { recursive: true, force: true });
  };
  const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  const { url } = JSON.parse(line) as { url: string };
  let buckets = 0;
  const gcs: LocalGcs = {
    url,
    pid: server.pid as number,
    latency: async (ms, bytesPerSecond) => {
      await ask(url, "PUT", "/admin/latency", bytesPerSecond === undefined ? { ms } : { ms, bytesPerSecond });
    },
    folderRenames: async (settings) => void (await ask(url, "PUT", "/admin/folder-renames", settings)),
    async session(t, options = {}, settings = {}) {
      const bucket = `test-bucket-${++buckets}`;
      await ask(url, "POST", "/storage/v1/b?project=test", { name: bucket, ...settings });
      let seen = 0;
      return {
        bucket: bucketAt(t, url, { ...options, bucket }),
        async faults(...rules) {
          await ask(
            url,
            "POST",
            "/admin/faults",
            rules.map((rule) => ({ ...rule, bucket })),
          );
        },
        clearFaults: async () => void (await ask(url, "DELETE", `/admin/faults?bucket=${bucket}`)),
        async requests() {
          const all = (await ask(url, "GET", `/admin/requests?after=${seen}`)) as LoggedRequest[];
          seen = all.at(-1)?.sequence ?? seen;
          return all.filter(
            (request) => request.bucket === bucket && request.method !== "storage.buckets.insert",
          );
        },
      };
    },
  };
  return { gcs, stop };
}

async function ask(url: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const json = { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(url + path, { method, ...(body === undefined ? {} : json) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}
