// What we and the kernel agree on when a mount starts. There is no second INIT for a later worker on the same
// mount, so the outcome is plain data that can be kept.

import { type InitRequest } from "./decode.ts";
import type { InitAnswer } from "./encode.ts";
import { INC_EPOCH_MINOR, INIT, INIT2, MAJOR_VERSION, MINOR_VERSION } from "./protocol.ts";

/** What later requests depend on. */
export interface InitOutcome {
  readonly protocolMinor: number;
  readonly maxWriteBytes: number;
  /** The kernel can serve local files by itself (whether it really does is probed). */
  readonly passthroughOffered: boolean;
  /** A name can be expired without being dropped from the kernel's cache. */
  readonly expireOnly: boolean;
  /** All names can be expired at once without a lock (INC_EPOCH). */
  readonly epoch: boolean;
  /** Unanswered requests come again to a new worker. */
  readonly resend: boolean;
}

// Not asked for, each for a reason:
//   HANDLE_KILLPRIV, HANDLE_KILLPRIV_V2  writes through passthrough would keep setuid and setgid bits (RULES 23)
//   WRITEBACK_CACHE       excludes passthrough; the kernel would own size and mtime, outside changes would tear
//   EXPORT_SUPPORT        `.` and `..` are not answered by node (RULES 23)
//   POSIX_LOCKS, FLOCK_LOCKS  without them the kernel keeps both kinds of locks for this machine by itself
//   AUTO_INVAL_DATA       a changed mtime would drop pages we know are right; EXPLICIT_INVAL_DATA instead
//   NO_OPEN_SUPPORT       we want to learn of opens
//   NO_OPENDIR_SUPPORT    listings change behind the kernel's back
const WANTED =
  INIT.ASYNC_READ |
  INIT.ATOMIC_O_TRUNC | // open carries O_TRUNC: nothing is downloaded to be truncated
  INIT.BIG_WRITES |
  INIT.DONT_MASK | // the umask arrives with create
  INIT.DO_READDIRPLUS |
  INIT.READDIRPLUS_AUTO |
  INIT.ASYNC_DIO |
  INIT.PARALLEL_DIROPS |
  INIT.MAX_PAGES |
  INIT.CACHE_SYMLINKS |
  INIT.EXPLICIT_INVAL_DATA |
  INIT.INIT_EXT;

// Where files never change: the kernel may open and close them by itself (FUSE.md §3b). Entries of listings carry no
// attributes, so that only what is looked up counts as handed out. No passthrough: it needs OPEN.
const WANTED_IMMUTABLE =
  INIT.ASYNC_READ |
  INIT.NO_OPEN_SUPPORT |
  INIT.PARALLEL_DIROPS |
  INIT.MAX_PAGES |
  INIT.CACHE_SYMLINKS |
  INIT.EXPLICIT_INVAL_DATA |
  INIT.INIT_EXT;

// Oldest kernel protocol we speak: MAX_PAGES came with 7.28 (Linux 4.20). Older ones also have smaller structures.
const OLDEST_MINOR = 28;

const PAGE_BYTES = 4096;

// Files on overlayfs (a container's own layer) have depth 1; a value of 1 would refuse them.
const MAX_STACK_DEPTH = 2;

// Asynchronous requests (read-ahead, RELEASE) in flight at once, and from when on read-ahead is skipped.
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;

/** The kernel speaks a protocol we do not. */
export class ProtocolMismatch extends Error {
  override readonly name = "ProtocolMismatch";
}

export interface Negotiation {
  readonly answer: InitAnswer;
  /** undefined: the kernel is newer than us and will ask again with our major version. */
  readonly outcome: InitOutcome | undefined;
}

/** What a mount would like to have. */
export interface Wishes {
  readonly maxWriteBytes: number;
  readonly passthrough: boolean;
  /** Its files never change. */
  readonly immutableFiles: boolean;
}

/** Answers INIT. Throws ProtocolMismatch if the kernel is too old. */
export function negotiate(request: InitRequest, wishes: Wishes): Negotiation {
  if (request.major > MAJOR_VERSION) return { answer: answerWith(request, wishes, 0, 0), outcome: undefined };
  if (request.major < MAJOR_VERSION || request.minor < OLDEST_MINOR) {
    throw new ProtocolMismatch(
      `the kernel speaks FUSE ${request.major}.${request.minor}; ${MAJOR_VERSION}.${OLDEST_MINOR} (Linux 4.20) or newer is needed`,
    );
  }
  const flags = request.flags & (wishes.immutableFiles ? WANTED_IMMUTABLE : WANTED);
  const extended = (flags & INIT.INIT_EXT) !== 0 ? request.flags2 : 0;
  const passthrough = wishes.passthrough && !wishes.immutableFiles;
  const wanted2 = INIT2.DIRECT_IO_ALLOW_MMAP | INIT2.HAS_RESEND | (passthrough ? INIT2.PASSTHROUGH : 0);
  const flags2 = extended & wanted2;
  const minor = Math.min(request.minor, MINOR_VERSION);
  return {
    answer: answerWith(request, wishes, flags, flags2),
    outcome: {
      protocolMinor: minor,
      maxWriteBytes: wishes.maxWriteBytes,
      passthroughOffered: (extended & INIT2.PASSTHROUGH) !== 0,
      // An expired name that is just being confirmed would come back to life with the old answer; of a mount whose
      // names must be right at once it is dropped instead.
      expireOnly: (extended & INIT2.HAS_EXPIRE_ONLY) !== 0 && !wishes.immutableFiles,
      epoch: minor >= INC_EPOCH_MINOR,
      resend: (flags2 & INIT2.HAS_RESEND) !== 0,
    },
  };
}

function answerWith(request: InitRequest, wishes: Wishes, flags: number, flags2: number): InitAnswer {
  return {
    major: MAJOR_VERSION,
    minor: Math.min(request.minor, MINOR_VERSION),
    maxReadahead: request.maxReadahead,
    flags,
    flags2,
    maxBackground: MAX_BACKGROUND,
    congestionThreshold: CONGESTION_THRESHOLD,
    maxWriteBytes: wishes.maxWriteBytes,
    timeGranularityNs: 1,
    maxPages: Math.ceil(wishes.maxWriteBytes / PAGE_BYTES),
    maxStackDepth: (flags2 & INIT2.PASSTHROUGH) !== 0 ? MAX_STACK_DEPTH : 0,
  };
}
