// What is mounted where, from /proc/self/mountinfo, proc_pid_mountinfo(5). Reading it asks no file system
// anything, so it cannot hang on a dead or stuck mount as stat(2) would.

import fs from "node:fs";

export interface Mount {
  readonly id: number;
  readonly parentId: number;
  /** Minor device number; for FUSE also the number of the connection. */
  readonly minor: number;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** Who mounted a FUSE file system; 0 for all others. */
  readonly userId: number;
}

/** The type of our mounts, and the source of the empty folder mounted below each (RULES 31). */
export const OUR_TYPE = "fuse.sidemount";
export const UNDERLAY_SOURCE = "sidemount-underlay";

// 36 35 98:0 /root /mount/point rw,noatime shared:1 … - type source options
export function parseMountTable(text: string): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [id, parentId, device = "", , mountPoint = ""] = before.split(" ");
      const [type = "", source = "", options = ""] = after.split(" ");
      return {
        id: Number(id),
        parentId: Number(parentId),
        minor: Number(device.split(":")[1]),
        mountPoint: unescape(mountPoint),
        type,
        source: unescape(source),
        userId: Number(/(?:^|,)user_id=(\d+)/.exec(options)?.[1] ?? 0),
      };
    });
}

/** Blank, tab, newline and backslash are written as octal numbers. Bytes above 127 are written as they are. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** The mounts of this process's namespace, in the order of mounting. */
export function readMountTable(): Mount[] {
  return parseMountTable(fs.readFileSync("/proc/self/mountinfo", "utf8"));
}

/** The mounts exactly at `directory` (absolute, without links), the uppermost last. */
export function mountsAt(directory: string, table: readonly Mount[] = readMountTable()): Mount[] {
  return table.filter(({ mountPoint }) => mountPoint === directory);
}

export function isOurs(mount: Mount): boolean {
  return mount.type === OUR_TYPE || isUnderlay(mount);
}

export function isUnderlay(mount: Mount): boolean {
  return mount.type === "tmpfs" && mount.source === UNDERLAY_SOURCE;
}
