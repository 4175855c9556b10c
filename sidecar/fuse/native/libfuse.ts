// A setting of libfuse 2 that the addon leaves no way to make.
//
// A program may set one of a file's two times and leave the other alone: GNU tar does. Without the flag
// `flag_utime_omit_ok` libfuse ignores such a call and says that it succeeded; with it, utimens gets a special value for
// what is to be left or is to be "now". The addon does not set the flag, so it is set afterwards where libfuse keeps
// it: `utime_omit_ok` in its `struct fuse` (lib/fuse.c of 2.9.9, the one that comes with fuse-native). Whether that
// is the place is told by what lies around it.

import { readUint32, writeUint32 } from "../../lib/system-calls.ts";

// In fuse_thread_t of fuse-native.c: env, thread, attr (56 bytes), ctx, malloc, handlers[35], fuse.
const FUSE_AT = 368;

// In struct fuse: numbers of 32 bits, with what they must be for a mount of ours.
const EXPECTED: readonly (readonly [at: bigint, value: number])[] = [
  [200n, 0], // conf.nopath
  [208n, 0], // conf.hard_remove
  [212n, 1], // conf.use_ino
  [216n, 0], // conf.readdir_ino
  [232n, 0], // conf.direct_io
  [264n, 0], // intr_installed
  [280n, 0], // nullpath_ok
  [284n, 0], // utime_omit_ok
  [296n, 4096], // pagesize
];
const UTIME_OMIT_OK_AT = 284n;

/**
 * What utimens then gets for a time, in milliseconds, when it is to be left alone or to be now: UTIME_OMIT and
 * UTIME_NOW are nanoseconds that no time has, and the addon makes the same milliseconds of both.
 */
export const LEFT_OR_NOW_MS = 1073n;

/** Lets times be left out, on the mount whose `fuse_thread_t` this is. False if this is another libfuse. */
export function allowTimesLeftOut(thread: Buffer): boolean {
  const fuse = thread.readBigUInt64LE(FUSE_AT);
  if (EXPECTED.some(([at, value]) => readUint32(fuse + at) !== value)) return false;
  writeUint32(fuse + UTIME_OMIT_OK_AT, 1);
  return true;
}
