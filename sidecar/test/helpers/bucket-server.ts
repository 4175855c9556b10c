// The local bucket server in a process of its own, and a plain client of it: "another writer", and the request log.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Cleaning } from "./cleanups.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
export const BUCKET = "test";

export interface LoggedRequest {
  readonly sequence: number;
  readonly method: string;
  readonly object?: string;
  readonly query: unknown;
  readonly status: number;
  readonly requestBytes: number;
  /** When it arrived, by this machine's clock. */
  readonly atMs: number;
  readonly responseBytes: number;
}

export interface ObjectResource {
  readonly name: string;
  readonly generation: string;
  readonly size: string;
  readonly contentType?: string;
  readonly metadata?: Record<string, string>;
  readonly crc32c: string;
  readonly updated: string;
}

export interface Fault {
  readonly method: string;
  readonly name?: string;
  readonly action: string;
  readonly count?: number;
  readonly fraction?: number;
}

/** What kind of bucket the server offers. */
export interface BucketKind {
  readonly hierarchical?: boolean;
}

export interface FolderResource {
  readonly name: string;
  readonly createTime: string;
  readonly metageneration: string;
}

/** How the server goes about renaming folders. */
export interface FolderRenameManners {
  /** How long one takes; one that takes none is over when it is answered. */
  readonly takesMs?: number;
  readonly fails?: boolean;
  readonly newGenerations?: boolean;
}

/** Starts a program of this project and resolves with the value `read` finds in one of its log lines. */
export async function startLogging<T>(
  words: readonly string[],
  read: (line: Record<string, unknown>) => T | undefined,
  options: { environment?: Record<string, string>; lines?: Record<string, unknown>[] } = {},
): Promise<{ child: ChildProcess; found: T }> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.environment },
  });
  const errors: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
  const found = await new Promise<T>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = parse(text);
      options.lines?.push(line);
      const value = read(line);
      if (value !== undefined) resolve(value);
    });
    child.once("exit", (code, signal) => {
      reject(new Error(`sidemount ${words[0]} ended with ${code ?? signal}: ${errors.join("")}`));
    });
  });
  return { child, found };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
}

/** Ends a child and waits for it. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
  return child.exitCode;
}

export class BucketServer {
  readonly url: string;
  readonly directory: string;
  readonly #kind: BucketKind;
  child: ChildProcess;

  private constructor(url: string, directory: string, kind: BucketKind, child: ChildProcess) {
    this.url = url;
    this.directory = directory;
    this.#kind = kind;
    this.child = child;
  }

  static async start(t: Cleaning, kind: BucketKind = {}): Promise<BucketServer> {
    const directory = await mkdtemp(path.join(os.tmpdir(), "sidemount-bucket-"));
    const { child, found } = await spawnServer(directory, kind, 0);
    const server = new BucketServer(found, directory, kind, child);
    t.teardown(async () => {
      await end(server.child, "SIGKILL");
      await rm(directory, { recursive: true, force: true });
    });
    return server;
  }

  /** Kills the server without warning and starts it again on the same port and folder. */
  async restart(): Promise<void> {
    await end(this.child, "SIGKILL");
    const { child } = await spawnServer(this.directory, this.#kind, Number(new URL(this.url).port));
    this.child = child;
  }

  async put(
    name: string,
    bytes: string | Uint8Array,
    metadata: Record<string, string> = {},
  ): Promise<ObjectResource> {
    const query = new URLSearchParams({ uploadType: "media", name });
    const body = typeof bytes === "string" ? bytes : Buffer.from(bytes);
    const made = await this.#call("POST", `/upload/storage/v1/b/${BUCKET}/o?${query.toString()}`, body);
    if (Object.keys(metadata).length === 0) return made as ObjectResource;
    return (await this.#call(
      "PATCH",
      this.#objectPath(name),
      JSON.stringify({ metadata }),
    )) as ObjectResource;
  }

  async stat(name: string): Promise<ObjectResource | undefined> {
    const answer = await fetch(this.url + this.#objectPath(name));
    if (answer.status === 404) return undefined;
    return (await answer.json()) as ObjectResource;
  }

  async get(name: string): Promise<Buffer | undefined> {
    const answer = await fetch(`${this.url}${this.#objectPath(name)}?alt=media`, {
      headers: { "accept-encoding": "gzip" },
    });
    if (answer.status === 404) return undefined;
    return Buffer.from(await answer.arrayBuffer());
  }

  async remove(name: string): Promise<void> {
    await this.#call("DELETE", this.#objectPath(name));
  }

  /** All object names, in the order the bucket lists them. */
  async names(prefix = ""): Promise<string[]> {
    const names: string[] = [];
    for (let token = ""; ;) {
      const query = new URLSearchParams({ prefix, ...(token === "" ? {} : { pageToken: token }) });
      const page = (await this.#call("GET", `/storage/v1/b/${BUCKET}/o?${query.toString()}`)) as {
        items?: ObjectResource[];
        nextPageToken?: string;
      };
      names.push(...(page.items ?? []).map(({ name }) => name));
      if (page.nextPageToken === undefined) return names;
      token = page.nextPageToken;
    }
  }

  async makeFolder(name: string): Promise<void> {
    await this.#call("POST", `/storage/v1/b/${BUCKET}/folders?recursive=true`, JSON.stringify({ name }));
  }

  async folder(name: string): Promise<FolderResource | undefined> {
    const answer = await fetch(this.url + this.#folderPath(name));
    if (answer.status === 404) return undefined;
    return (await answer.json()) as FolderResource;
  }

  async removeFolder(name: string): Promise<void> {
    await this.#call("DELETE", this.#folderPath(name));
  }

  /** Names of all folders of a hierarchical bucket. */
  async folders(prefix = ""): Promise<string[]> {
    const query = new URLSearchParams({ prefix });
    const page = (await this.#call("GET", `/storage/v1/b/${BUCKET}/folders?${query.toString()}`)) as {
      items?: FolderResource[];
    };
    return (page.items ?? []).map(({ name }) => name);
  }

  async folderRenames(manners: FolderRenameManners): Promise<void> {
    await this.#call("PUT", "/admin/folder-renames", JSON.stringify(manners));
  }

  /** Moves the server's clock, so that objects made before are old and trusted for long. */
  async age(aheadMs: number): Promise<void> {
    await this.#call("PUT", "/admin/clock", JSON.stringify({ aheadMs }));
  }

  async faults(...rules: Fault[]): Promise<void> {
    await this.#call("POST", "/admin/faults", JSON.stringify(rules));
  }

  async clearFaults(): Promise<void> {
    await this.#call("DELETE", "/admin/faults");
  }

  async latency(ms: number): Promise<void> {
    await this.#call("PUT", "/admin/latency", JSON.stringify({ ms }));
  }

  async requests(): Promise<LoggedRequest[]> {
    const log = (await this.#call("GET", "/admin/requests")) as
      LoggedRequest[] | { requests: LoggedRequest[] };
    return Array.isArray(log) ? log : log.requests;
  }

  async forgetRequests(): Promise<void> {
    await this.#call("DELETE", "/admin/requests");
  }

  #objectPath(name: string): string {
    return `/storage/v1/b/${BUCKET}/o/${encodeURIComponent(name)}`;
  }

  #folderPath(name: string): string {
    return `/storage/v1/b/${BUCKET}/folders/${encodeURIComponent(name)}`;
  }

  async #call(method: string, path: string, body?: string | Buffer): Promise<unknown> {
    const headers = {
      "content-type": path.startsWith("/upload") ? "application/octet-stream" : "application/json",
    };
    const answer = await fetch(this.url + path, {
      method,
      ...(body === undefined ? {} : { body: body as string | Uint8Array<ArrayBuffer>, headers }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
}

function spawnServer(
  directory: string,
  { hierarchical = false }: BucketKind,
  port: number,
): Promise<{ child: ChildProcess; found: string }> {
  const words = ["local-gcs", directory, "--port", String(port), "--bucket", BUCKET, "--admin"];
  if (hierarchical) words.push("--hierarchical-namespace");
  return startLogging(words, ({ url }) => (typeof url === "string" ? url : undefined));
}
