// The project's own files as text, for tests that look at how it is built.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

export interface Source {
  /** Path from the top of the project. */
  readonly path: string;
  readonly text: string;
}

/** Files which git tracks, or would track, below `folder`. */
export function trackedFiles(folder = "."): string[] {
  // A checkout may belong to another user than the one who tests it.
  const trusting = ["-c", "safe.directory=*"];
  const wanted = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", folder];
  const list = execFileSync("git", [...trusting, ...wanted], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 ** 2,
  });
  return list.split("\0").filter((file) => file !== "");
}

/** The text of `file`, or undefined when it was deleted but not yet committed. */
export function readTracked(file: string): string | undefined {
  try {
    return readFileSync(path.join(root, file), "utf8");
  } catch {
    return undefined;
  }
}

/** Every TypeScript file of the sidecar. */
export function sidecarSources(): Source[] {
  return trackedFiles("sidecar").flatMap((file) => {
    const text = file.endsWith(".ts") ? readTracked(file) : undefined;
    return text === undefined ? [] : [{ path: file.replace(/^sidecar\//, ""), text }];
  });
}

/** Tests and what only tests use: they may look into everything. */
export function isTest(file: string): boolean {
  return /\.(test|fixture)\.ts$|(^|\/)testing\.ts$|(^|\/)(fixtures|test|bench)\//.test(file);
}
