// The two mounts of one mount point: below, an empty folder that refuses writes; above it, the FUSE mount.
//
// When the upper one is gone, a program that still writes there gets EROFS instead of filling the container's
// layer (RULES 31). So the lower one is mounted first and removed last. Only root may enter it: an app or a web server
// that is not root gets EACCES and cannot take the empty folder for a bucket without files.

import { setTimeout as delay } from "node:timers/promises";

import {
  MOUNT_NO_DEVICES,
  MOUNT_NO_EXECUTE,
  MOUNT_NO_SETUID,
  MOUNT_READ_ONLY,
  mountFileSystem,
  UNMOUNT_DETACH,
  UNMOUNT_FORCE,
  unmountFileSystem,
} from "../lib/system-calls.ts";
import { codeOf, MountRefused } from "./mount-refused.ts";
import { isUnderlay, mountsAt, OUR_TYPE, UNDERLAY_SOURCE } from "./mount-table.ts";
import { type Unmount, unmountProgram } from "./fusermount.ts";

// How long files may be closed in before a busy mount is detached under them.
const BUSY_TRIES = 5;
const BUSY_PAUSE_MS = 40;

export interface MountSettings {
  readonly directory: string;
  /** What `df` and `mount` show as the device. */
  readonly source: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
}

/** What `df` and `mount` show as the device of a mount. */
export function sourceOf({ bucket, prefix }: { bucket: string; prefix: string }): string {
  return `sidemount:${prefix === "" ? bucket : `${bucket}/${prefix.replace(/\/$/, "")}`}`;
}

/** Mounts both. `device` is an open /dev/fuse; nobody needs to serve it yet. */
export async function mountBoth(device: number, settings: MountSettings): Promise<void> {
  const { directory, source, readOnly, allowOther } = settings;
  const guarded = MOUNT_NO_SETUID | MOUNT_NO_DEVICES;
  const options = [
    `fd=${device}`,
    "rootmode=40000", // octal: a folder
    "user_id=0",
    "group_id=0",
    "default_permissions", // the kernel checks owner and mode
    ...(allowOther ? ["allow_other"] : []), // without it even root is refused
  ];
  try {
    mountUnderlay(directory);
    mountFileSystem(source, directory, OUR_TYPE, guarded | (readOnly ? MOUNT_READ_ONLY : 0), options.join());
  } catch (error) {
    if (mountsAt(directory).some(isUnderlay)) await unmountFileSystem(directory, UNMOUNT_DETACH);
    throw refusal(directory, error);
  }
}

/** Mounts the empty folder that refuses writes. */
export function mountUnderlay(directory: string): void {
  const flags = MOUNT_READ_ONLY | MOUNT_NO_SETUID | MOUNT_NO_DEVICES | MOUNT_NO_EXECUTE;
  mountFileSystem(UNDERLAY_SOURCE, directory, "tmpfs", flags, "size=4k,mode=0000");
}

/** What mount(2) said, for people. */
export function refusal(directory: string, error: unknown): MountRefused {
  const code = codeOf(error);
  const message = `${directory} could not be mounted (${code})`;
  if (code === "EPERM" || code === "EACCES") {
    const remedy =
      "In a container: --cap-add SYS_ADMIN, and --security-opt apparmor:unconfined where AppArmor is on.";
    return new MountRefused(`mounting is not permitted here (${code})`, remedy, error);
  }
  if (code === "ENODEV")
    return new MountRefused("the kernel has no FUSE", "Run `modprobe fuse` on the host.", error);
  return new MountRefused(message, "Look into the kernel's log (dmesg) for the reason.", error);
}

/** Of the uppermost mount: by the system call where this process may do that, else by the program that may. */
const unmountOne: Unmount = async (directory, lazily) =>
  process.getuid?.() === 0
    ? unmountFileSystem(directory, lazily ? UNMOUNT_DETACH : 0)
    : unmountProgram()(directory, lazily);

/** Removes the FUSE mount: at once if nobody uses it, else from under those who do. True if it was busy. */
export async function unmountServed(directory: string, unmount: Unmount = unmountOne): Promise<boolean> {
  for (let attempt = 0; attempt < BUSY_TRIES && isServed(directory); attempt++) {
    try {
      await unmount(directory, false);
      return false;
    } catch (error) {
      if (codeOf(error) !== "EBUSY") throw error;
    }
    await delay(BUSY_PAUSE_MS);
  }
  await detachServed(directory, { unmount });
  return true;
}

/** Removes the FUSE mount from the tree, whoever uses it. `abort`: every waiting program gets an error. */
export async function detachServed(
  directory: string,
  { abort = false, unmount = unmountOne }: { abort?: boolean; unmount?: Unmount } = {},
): Promise<void> {
  while (isServed(directory)) {
    if (abort) await unmountFileSystem(directory, UNMOUNT_FORCE).catch(() => {}); // EBUSY, having aborted it
    if (isServed(directory)) await unmount(directory, true);
  }
}

/** Removes the empty folder below, once nothing is above it. */
export async function removeUnderlay(directory: string): Promise<void> {
  for (let top = topOf(directory); top !== undefined && isUnderlay(top); top = topOf(directory)) {
    await unmountFileSystem(directory, UNMOUNT_DETACH);
  }
}

/** Removes everything of ours at `directory` without waiting for anyone. */
export async function unmountLazily(directory: string): Promise<void> {
  await detachServed(directory);
  await removeUnderlay(directory);
}

/** Whether our FUSE mount is the uppermost one at the folder. */
export function isServed(directory: string): boolean {
  return topOf(directory)?.type === OUR_TYPE;
}

function topOf(directory: string) {
  return mountsAt(directory).at(-1);
}
