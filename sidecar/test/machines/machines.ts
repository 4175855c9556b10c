// Several machines with one bucket: mounts with states of their own, and a program at work on each of them.

import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import type { BucketServer } from "../helpers/bucket-server.ts";
import type { Cleaning } from "../helpers/cleanups.ts";

/** Of every file its bytes, and every folder (its name ends in "/"), by path. */
export type Everything = ReadonlyMap<string, Buffer | undefined>;

/** As in contents.py. */
const HEADER_BYTES = 160;

/**
 * Runs a Python program of this folder; answers what each of the lines it prints says. Rejects if it fails.
 */
export async function acted<T>(
  t: Cleaning,
  program: string,
  words: readonly string[],
  seconds: number,
): Promise<T[]> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn("/usr/bin/python3", ["-B", file, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(async () => void child.kill("SIGKILL"));
  const limit = setTimeout(() => child.kill("SIGKILL"), (seconds + 60) * 1000);
  const said: T[] = [];
  const exited = new Promise<number | string | null>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal)),
  );
  for await (const line of createInterface({ input: child.stdout })) said.push(JSON.parse(line) as T);
  const code = await exited;
  clearTimeout(limit);
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return said;
}

/** What is below a folder. */
export async function everythingIn(top: string): Promise<Everything> {
  const found = new Map<string, Buffer | undefined>();
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(path.join(top, folder), { withFileTypes: true })) {
      const name = path.join(folder, entry.name);
      if (!entry.isDirectory()) found.set(name, await readFile(path.join(top, name)));
      else {
        found.set(`${name}/`, undefined);
        await walk(name);
      }
    }
  };
  await walk("");
  return found;
}

/** What the bucket has, without what mounts keep there for themselves. */
export async function everythingInBucket(server: BucketServer, hierarchical: boolean): Promise<Everything> {
  const found = new Map<string, Buffer | undefined>();
  const objects = await server.names();
  const folders = hierarchical ? await server.folders() : [];
  for (const name of [...objects, ...folders]) {
    if (name.startsWith(".sidemount.tmp/")) continue;
    for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", slash + 1))
      found.set(name.slice(0, slash + 1), undefined);
    if (!name.endsWith("/")) found.set(name, await server.get(name));
  }
  return found;
}

/** The id of the version these bytes are; what is wrong with them if they are none. */
export function versionOf(bytes: Buffer): string {
  const head = bytes.toString("utf8", 0, HEADER_BYTES);
  try {
    const { id, length, crc } = JSON.parse(head) as { id: string; length: number; crc: number };
    if (length === bytes.length && crc === crc32(bytes.subarray(HEADER_BYTES))) return id;
  } catch {
    // told below
  }
  return `torn: ${bytes.length} bytes that begin with ${head}`;
}

/** The ids of a log's lines but for those that were there from the beginning. */
export function linesOf(bytes: Buffer): string[] {
  const ids = bytes
    .toString("utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => line.slice(0, line.indexOf(" ")));
  return ids.filter((id) => !id.startsWith("initial-"));
}
