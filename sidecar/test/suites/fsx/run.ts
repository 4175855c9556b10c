// Runs fsx on a file, and tells what the file has to hold afterwards.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { SUITE_PROGRAMS } from "../tools.ts";
import { configurationOf, type Shape } from "./operations.ts";

const run = promisify(execFile);

/** One run: the same seed does the same to every file. */
export interface Run {
  readonly shape: Shape;
  readonly operations: number;
  readonly seed: number;
}

/**
 * Lets fsx work on `file`, which it checks all the while; throws with what it says if bytes or sizes are not what they
 * have to be. `scratch` is a folder on the local disk.
 */
export async function runFsx(file: string, { shape, operations, seed }: Run, scratch: string): Promise<void> {
  const folder = await mkdtemp(path.join(scratch, "fsx-"));
  const configuration = path.join(folder, "fsx.toml");
  await writeFile(configuration, configurationOf(shape));
  const words = ["-f", configuration, "-N", String(operations), "-S", String(seed), "-P", folder, file];
  await run(path.join(SUITE_PROGRAMS, "fsx"), words, { maxBuffer: 64 << 20 }).catch(
    (error: { stdout?: string; stderr?: string; code?: number; signal?: string }) => {
      const said = `${error.stdout ?? ""}${error.stderr ?? ""}`.trimEnd().split("\n");
      const end = `ended with ${error.signal ?? error.code ?? "an error"}`;
      throw new Error(`fsx -S ${seed} on ${file} ${end}:\n${said.slice(-60).join("\n")}`, { cause: error });
    },
  );
}

/** What the file holds after the same run elsewhere. `before` is what it held before, for a run in place. */
export async function expectedAfter(each: Run, before: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  // In memory, where nothing of it waits for a disk.
  const folder = await mkdtemp(
    path.join(existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir(), "sidemount-fsx-"),
  );
  try {
    const file = path.join(folder, "file");
    await writeFile(file, before);
    await runFsx(file, each, folder);
    return await readFile(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
