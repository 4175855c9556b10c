// What a process has open, as /proc tells.

import fs from "node:fs";
import path from "node:path";

/**
 * Whether process (or thread) `pid` has a descriptor of the file with this inode number and last name. False when
 * it cannot be known (another pid namespace, the process is gone). Source: proc(5), /proc/PID/fd, fdinfo `ino`.
 */
export function hasDescriptorOf(pid: number, inode: number, name: string): boolean {
  if (pid === 0) return false;
  try {
    return fs.readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      if (path.basename(fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`)) !== name) return false;
      const information = fs.readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, "utf8");
      return /^ino:\s*(\d+)$/m.exec(information)?.[1] === String(inode);
    });
  } catch {
    return false;
  }
}
