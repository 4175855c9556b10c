// What figures depend on: the machine, and the state of the project.

import { execFileSync } from "node:child_process";
import os from "node:os";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** File system of the folder that was measured. */
  readonly disk: string;
  readonly commit: string;
}

export function describeMachine(): Machine {
  return {
    cores: os.availableParallelism(),
    processor: os.cpus()[0]?.model.trim() ?? "unknown",
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release().split("-", 1)[0] ?? "", // the rest names who built it
    node: process.versions.node,
    disk: say("stat", ["--file-system", "--format=%T", os.tmpdir()]) ?? "unknown",
    commit: commit(),
  };
}

function commit(): string {
  // A checkout may belong to another user than the one who measures.
  const git = (...words: string[]): string | undefined => say("git", ["-c", "safe.directory=*", ...words]);
  const name = git("rev-parse", "--short=12", "HEAD");
  if (name === undefined) return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") === "" ? name : `${name}, with changes`;
}

function say(program: string, words: string[]): string | undefined {
  try {
    return execFileSync(program, words, {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined; // not there, or not a checkout
  }
}
