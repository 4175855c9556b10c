// What the addon knows of a libfuse thread while that thread waits for our answer.
//
// The addon gives each thread a buffer of ours and writes its C structure `fuse_thread_locals_t` into it
// (fuse-native.c, 2.2.6). Its functions hand over only part of that: of the two times of utimens the first one
// twice, and neither the flags of create nor a way to answer open with flags. So they are taken from the structure
// itself. It is laid out as compilers for 64-bit Linux do it; the size, the number of the operation and the time that
// is handed over as well tell whether it really is.

import { isUtf8 } from "node:buffer";

import { FileSystemError } from "../../filesystem/errors.ts";
import { readCString, readUint32, writeUint32 } from "../../lib/system-calls.ts";

const RECORD_BYTES = 360;
const OPERATION_AT = 8;
const PATH_AT = 24;
const OTHER_PATH_AT = 32;
const FILE_INFO_AT = 48;
const ACCESS_TIME_AT = 104;
const MODIFY_TIME_AT = 112;

// struct fuse_file_info of libfuse 2.9: int flags; unsigned long fh_old; int writepage; unsigned direct_io : 1, …
const FLAGS_AT = 0n;
const WRITE_PAGE_AT = 16n;
const ANSWER_BITS_AT = 20n;
const DIRECT_IO = 1;

/** A thread of libfuse, known by its record. One operation at a time. */
export class ThreadRecord {
  /** The same object for each operation of the same thread. */
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Throws if the record is not what this file says it is. */
  check(operation: number): void {
    if (this.bytes.length !== RECORD_BYTES || this.bytes.readUInt32LE(OPERATION_AT) !== operation)
      throw new Error("this is not the fuse-native that sidemount knows");
  }

  /** Milliseconds since 1970 of utimens; `handedOver` is the time the addon passes as both. */
  times(handedOver: bigint): { accessMs: bigint; modifyMs: bigint } {
    const accessMs = this.bytes.readBigInt64LE(ACCESS_TIME_AT);
    if (accessMs !== handedOver) throw new FileSystemError("EIO", "the addon's times cannot be read");
    return { accessMs, modifyMs: this.bytes.readBigInt64LE(MODIFY_TIME_AT) };
  }

  /** As of open(2), for open and create. */
  openFlags(): number {
    return readUint32(this.#fileInfo() + FLAGS_AT);
  }

  /** For write: whether it is what a mapping changed, sent by any of the file's handles. */
  isFromMapping(): boolean {
    return readUint32(this.#fileInfo() + WRITE_PAGE_AT) !== 0;
  }

  /** Answers open or create so that the kernel asks us for each read instead of its page cache. */
  answerDirectIo(): void {
    const at = this.#fileInfo() + ANSWER_BITS_AT;
    writeUint32(at, readUint32(at) | DIRECT_IO);
  }

  /** Whether the path of the operation, and the second one of rename, symlink and link, were UTF-8 before the addon decoded them. */
  hasUtf8Paths(two: boolean): boolean {
    const paths = two ? [PATH_AT, OTHER_PATH_AT] : [PATH_AT];
    return paths.every((at) => isUtf8(readCString(this.bytes.readBigUInt64LE(at))));
  }

  #fileInfo(): bigint {
    return this.bytes.readBigUInt64LE(FILE_INFO_AT);
  }
}
