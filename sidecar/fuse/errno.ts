// The one place where named errors become errno numbers (DESIGN §10). Both channels use it.
//
// The tables are exhaustive: a new error name does not compile until its number was decided here.

import { constants } from "node:os";

import { BucketError, type BucketErrorKind } from "../bucket/errors.ts";
import { FileSystemError, type FileSystemErrorCode } from "../filesystem/errors.ts";

const { errno } = constants;

const ofFileSystem = {
  EACCES: errno.EACCES,
  EBADF: errno.EBADF,
  EEXIST: errno.EEXIST,
  EFBIG: errno.EFBIG,
  EINTR: errno.EINTR,
  EINVAL: errno.EINVAL,
  EIO: errno.EIO,
  EISDIR: errno.EISDIR,
  ELOOP: errno.ELOOP,
  ENAMETOOLONG: errno.ENAMETOOLONG,
  ENODATA: errno.ENODATA,
  ENOENT: errno.ENOENT,
  ENOSPC: errno.ENOSPC,
  ENOSYS: errno.ENOSYS,
  ENOTDIR: errno.ENOTDIR,
  ENOTEMPTY: errno.ENOTEMPTY,
  ENOTSUP: errno.ENOTSUP,
  ENXIO: errno.ENXIO,
  EPERM: errno.EPERM,
  ERANGE: errno.ERANGE,
  EROFS: errno.EROFS,
  ESTALE: errno.ESTALE,
  ETXTBSY: errno.ETXTBSY,
  EXDEV: errno.EXDEV,
} as const satisfies Record<FileSystemErrorCode, number>;

const ofBucket = {
  "not-found": errno.ENOENT,
  "bucket-not-found": errno.EIO, // never ENOENT: a missing bucket says nothing about a name in it
  "precondition-failed": errno.ESTALE, // someone else replaced the object we had open
  "already-exists": errno.EEXIST,
  "not-empty": errno.ENOTEMPTY,
  forbidden: errno.EACCES,
  unauthenticated: errno.EACCES,
  retained: errno.EPERM,
  throttled: errno.EIO, // after the deadline; EAGAIN would make programs spin
  unavailable: errno.EIO,
  deadline: errno.EIO,
  checksum: errno.EIO,
  invalid: errno.EINVAL, // what the service calls malformed is nearly always the name the program chose
  aborted: errno.EINTR,
} as const satisfies Record<BucketErrorKind, number>;

// Errors of our own local files. Only what tells the program something true about its own call passes; ENOENT or
// EACCES of a copy would claim something about the object, and EMFILE is our limit, not the program's.
const ofLocalFile: ReadonlyMap<unknown, number> = new Map([
  ["ENOSPC", errno.ENOSPC],
  ["EDQUOT", errno.ENOSPC], // the copies are over their budget, whoever counts it
  ["EFBIG", errno.EFBIG],
  ["ENOMEM", errno.ENOMEM],
  ["ENOTSUP", errno.ENOTSUP], // the disk's file system cannot do it; what programs do instead works everywhere
]);

/** `expected` is false for errors nobody has named: they become EIO and deserve a log line with their stack. */
export interface Errno {
  readonly number: number;
  readonly expected: boolean;
}

/** The number an application sees for `error`. */
export function errnoOf(error: unknown): Errno {
  if (error instanceof FileSystemError) return { number: ofFileSystem[error.code], expected: true };
  if (error instanceof BucketError) return { number: ofBucket[error.kind], expected: true };
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const known = ofLocalFile.get(code);
  return known === undefined ? { number: errno.EIO, expected: false } : { number: known, expected: true };
}
