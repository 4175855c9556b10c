// What is mounted where, as the kernel lists it. Nothing here touches a mount itself: a dead one would answer
// every call with an error, or not at all.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

interface Mount {
  readonly directory: string;
  readonly type: string;
}

export function mounts(): Mount[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [before = "", after = ""] = line.split(" - ");
    // Blanks and the like are written as three octal digits.
    const directory = (before.split(" ")[4] ?? "").replace(/\\(\d{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    return { directory, type: after.split(" ")[0] ?? "" };
  });
}

/** Whether a FUSE file system is the topmost mount on this folder. */
export function isFuseMount(directory: string): boolean {
  const here = mounts().filter((mount) => mount.directory === directory);
  return here.at(-1)?.type.startsWith("fuse") ?? false;
}

/** Mounts at or below a folder, innermost and latest first: the order in which to take them away. */
export function mountsWithin(directory: string): string[] {
  return mounts()
    .map((mount) => mount.directory)
    .filter((each) => each === directory || each.startsWith(`${directory}/`))
    .toReversed();
}

/** Takes away every mount at or below a folder, also a dead or a busy one. Answers what it took away. */
export async function unmountWithin(directory: string): Promise<string[]> {
  const found = mountsWithin(directory);
  for (const each of found) await promisify(execFile)("/bin/umount", ["--lazy", each]);
  return found;
}
