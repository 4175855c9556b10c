// The addon of the package `fuse-native`: libfuse 2.9 for Node. Loaded by the first mount that needs it.
//
// Its own JavaScript is left aside. That hands `fstat` of an open file to the file's path, takes a mount point that
// is a mount itself for one in use, unmounts through a shell, and answers by itself after 15 seconds. What is used
// here is what lies below: fuse-native.c, one function to mount and one to answer each operation.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { loadLibrary, watchThreadData } from "../../lib/system-calls.ts";

/** The operations of libfuse's path interface that are served; all others it answers ENOSYS by itself. */
export const OPERATIONS = [
  "init",
  "statfs",
  "getattr",
  "fgetattr",
  "readdir",
  "readlink",
  "setxattr",
  "getxattr",
  "listxattr",
  "removexattr",
  "mknod",
  "mkdir",
  "symlink",
  "link",
  "unlink",
  "rmdir",
  "rename",
  "chmod",
  "chown",
  "utimens",
  "truncate",
  "ftruncate",
  "open",
  "create",
  "read",
  "write",
  "flush",
  "fsync",
  "fsyncdir",
  "release",
] as const;
/** Left to libfuse unless they are asked for: it says ENOSYS, and the kernel does not ask again. */
export const EXTENDED_OPERATIONS: ReadonlySet<OperationName> = new Set([
  "setxattr",
  "getxattr",
  "listxattr",
  "removexattr",
]);
export type OperationName = (typeof OPERATIONS)[number];

/**
 * Called by the addon for an operation, with the record of the libfuse thread that waits for the answer, the
 * operation's number and its arguments.
 */
export type Handler = (record: Buffer, operation: number, ...given: unknown[]) => void;

/** Lets the waiting thread go on: 0, a count, or a negative errno, and what else the operation answers. */
export type Signal = (record: Buffer, result: number, ...values: unknown[]) => void;

type Exports = {
  readonly sizeof_fuse_thread_t: number;
  /** Mounts, and starts the thread that serves. Everything handed in must be kept from the garbage collector. */
  fuse_native_mount(
    mountPoint: string,
    options: string,
    thread: Buffer,
    context: object,
    allocate: (size: number) => Buffer,
    handlers: readonly Handler[],
    implemented: Uint32Array,
  ): void;
  /** Unmounts nothing: it lets the event loop end in spite of the addon. */
  fuse_native_unmount(mountPoint: string, thread: Buffer): void;
};
export type Addon = Exports & { readonly [Name in OperationName as `op_${Name}`]: number } & {
  readonly [Name in OperationName as `fuse_native_signal_${Name}`]: Signal;
};

/** The addon cannot be had on this machine. */
export class AddonUnavailable extends Error {
  override readonly name = "AddonUnavailable";
  readonly remedy: string;

  constructor(message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.remedy = remedy;
  }
}

const OTHERWISE = "Mount as root: that needs no addon (--channel device).";

export interface Loaded {
  readonly addon: Addon;
  /** Whether `atThreadEnd` is called. */
  readonly threadsWatched: boolean;
}

/**
 * Loads it, with the libfuse that comes with it. `atThreadEnd` is told the address of a thread's record when the thread
 * ends. To be called once in a process. Throws AddonUnavailable.
 */
export function loadAddon(
  atThreadEnd: (record: bigint) => void,
  platform = `${process.platform}-${process.arch}`,
): Loaded {
  const require = createRequire(import.meta.url);
  let manifest: string;
  try {
    manifest = require.resolve("fuse-native/package.json");
  } catch (error) {
    throw new AddonUnavailable(
      "the package fuse-native is not installed",
      `Install it: FUSE_NATIVE=prebuilt npm ci. ${OTHERWISE}`,
      error,
    );
  }
  const folder = path.join(path.dirname(manifest), "prebuilds", platform);
  if (!platform.startsWith("linux-") || !existsSync(folder)) {
    throw new AddonUnavailable(`the package fuse-native has no addon for ${platform}`, OTHERWISE);
  }
  try {
    loadLibrary(path.join(folder, "libfuse.so")); // the addon asks for it by its name, libfuse.so.2
    let addon: Addon | undefined;
    const load = (): void => {
      addon = require(path.join(folder, "node.napi.node")) as Addon;
    };
    const threadsWatched = watchThreadData(load, atThreadEnd);
    return { addon: addon as unknown as Addon, threadsWatched };
  } catch (error) {
    // Made for glibc: musl has none of its symbols.
    throw new AddonUnavailable("the addon of fuse-native cannot be loaded here", OTHERWISE, error);
  }
}
