// What a process has open, as /proc tells.
//
// Asked while that process waits for us, so nothing here may wait for it: reading its descriptors' links would,
// during an exec that closes descriptors (the kernel holds a lock over both). fdinfo does not; a time limit
// stands for whatever else may.

import { readFile, readdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

const LIMIT_MS = 100;

/**
 * Whether process (or thread) `pid` has a descriptor of the file with this inode number on a FUSE mount. False
 * when it cannot be known (another pid namespace, the process is gone, no answer in time). Source: proc(5), fdinfo.
 */
export async function hasDescriptorOf(pid: number, inode: number): Promise<boolean> {
  if (pid === 0) return false;
  return Promise.race([look(pid, inode).catch(() => false), delay(LIMIT_MS, false, { ref: false })]);
}

async function look(pid: number, inode: number): Promise<boolean> {
  const folder = `/proc/${pid}/fdinfo`;
  const descriptors = await readdir(folder);
  const texts = await Promise.all(
    descriptors.map((name) => readFile(`${folder}/${name}`, "utf8").catch(() => "")),
  );
  const mountIds = texts
    .filter((text) => field(text, "ino") === String(inode))
    .map((text) => field(text, "mnt_id"));
  if (mountIds.length === 0) return false;
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, "utf8")).split("\n");
  return mountIds.some((id) => mounts.some((line) => line.startsWith(`${id} `) && line.includes(" - fuse")));
}

function field(text: string, key: string): string | undefined {
  return new RegExp(`^${key}:\\s*(\\d+)$`, "m").exec(text)?.[1];
}
