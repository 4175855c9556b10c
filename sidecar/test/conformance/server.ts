// The local server as its clients meet it: a process of its own, known by its address only.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";

export interface RunningServer {
  readonly url: string;
  /** A directory for the test's own files. */
  readonly scratch: string;
}

/** Starts a server with the bucket `bkt`; it and its files are gone when the test ends. */
export async function startServer(t: ExecutionContext): Promise<RunningServer> {
  const scratch = await mkdtemp(join(tmpdir(), "conformance-"));
  t.teardown(() => rm(scratch, { recursive: true, force: true }));
  const entry = fileURLToPath(new URL("../../local-gcs/serve.ts", import.meta.url));
  const options = [entry, join(scratch, "store"), "--bucket", "bkt", "--admin"];
  const child = spawn(process.execPath, options, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.teardown(async () => {
    child.kill();
    await ended;
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { url: (JSON.parse(line.toString("utf8")) as { url: string }).url, scratch };
}

/** Runs a program; resolves with what it printed, rejects with its complaints if it fails. */
export async function run(
  program: string,
  programArguments: readonly string[],
  environment: Record<string, string> = {},
): Promise<Buffer> {
  const env = { ...process.env, NO_PROXY: "127.0.0.1", ...environment };
  const child = spawn(program, programArguments, { env, stdio: ["ignore", "pipe", "pipe"] });
  const printed: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => printed.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => complaints.push(chunk));
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return Buffer.concat(printed);
  throw new Error(
    `${program} ${programArguments.join(" ")}: ${code}\n${Buffer.concat(complaints).toString("utf8")}`,
  );
}
