// Requests of the kernel as bytes, read into plain objects. One function per structure of linux/fuse.h.
//
// `bytes` is always one whole request, header included. Node ids, handles, offsets and sizes are 64 bit on the
// wire; ours and those of any file stay below 2^53, so they are numbers here. Only `unique`, which uses bit 63
// for resent requests, is a bigint.

import { isUtf8 } from "node:buffer";

import type { FilePosition, HandleId, InodeId, SetAttributes } from "../../filesystem/filesystem.ts";
import {
  FATTR,
  GETATTR_FH,
  GETXATTR_IN_SIZE,
  IN_HEADER_SIZE,
  SETXATTR_IN_SIZE,
  WRITE_CACHE,
  WRITE_IN_SIZE,
} from "./protocol.ts";

const BODY = IN_HEADER_SIZE;

/** fuse_in_header. */
export interface RequestHeader {
  readonly length: number;
  readonly opcode: number;
  readonly unique: bigint;
  readonly inode: InodeId;
  readonly uid: number;
  readonly gid: number;
  /** Thread id in our pid namespace; 0 if it is not visible there or the kernel acts by itself. */
  readonly pid: number;
}

/** A name that is not UTF-8: objects cannot have it. */
export class NameNotUtf8 extends Error {
  override readonly name = "NameNotUtf8";
}

/** A 64-bit unsigned number below 2^53 (larger ones lose precision). */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}

export function decodeHeader(bytes: Buffer): RequestHeader {
  return {
    length: bytes.readUInt32LE(0),
    opcode: bytes.readUInt32LE(4),
    unique: bytes.readBigUInt64LE(8),
    inode: readU64(bytes, 16) as InodeId,
    uid: bytes.readUInt32LE(24),
    gid: bytes.readUInt32LE(28),
    pid: bytes.readUInt32LE(32),
  };
}

/** A name that starts `offset` bytes into the body and ends with a zero byte. */
export function decodeName(bytes: Buffer, offset = 0): string {
  const start = BODY + offset;
  return toText(bytes.subarray(start, endOfName(bytes, start)));
}

/** Two names, one after the other: of RENAME, and of SYMLINK (name, then target). */
export function decodeTwoNames(bytes: Buffer, offset = 0): [string, string] {
  const start = BODY + offset;
  const end = endOfName(bytes, start);
  return [toText(bytes.subarray(start, end)), decodeName(bytes, end + 1 - BODY)];
}

function endOfName(bytes: Buffer, start: number): number {
  const end = bytes.indexOf(0, start);
  if (end < 0) throw new RangeError("a name without its end");
  return end;
}

function toText(name: Buffer): string {
  if (!isUtf8(name)) throw new NameNotUtf8(`the name ${name.toString("latin1")} is not valid UTF-8`);
  return name.toString("utf8");
}

/** fuse_init_in. */
export interface InitRequest {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
}

export function decodeInit(bytes: Buffer): InitRequest {
  return {
    major: bytes.readUInt32LE(BODY),
    minor: bytes.readUInt32LE(BODY + 4),
    maxReadahead: bytes.readUInt32LE(BODY + 8),
    flags: bytes.readUInt32LE(BODY + 12),
    flags2: bytes.length >= BODY + 20 ? bytes.readUInt32LE(BODY + 16) : 0, // since 7.36
  };
}

export interface Forget {
  readonly inode: InodeId;
  readonly count: number;
}

/** fuse_forget_in. */
export function decodeForget(bytes: Buffer, header: RequestHeader): Forget {
  return { inode: header.inode, count: readU64(bytes, BODY) };
}

/** fuse_batch_forget_in and the fuse_forget_one that follow it. */
export function decodeBatchForget(bytes: Buffer): Forget[] {
  return Array.from({ length: bytes.readUInt32LE(BODY) }, (_, index) => {
    const at = BODY + 8 + index * 16;
    return { inode: readU64(bytes, at) as InodeId, count: readU64(bytes, at + 8) };
  });
}

/** fuse_getattr_in: the handle through which the attributes are asked for, if any. */
export function decodeGetAttributes(bytes: Buffer): HandleId | undefined {
  return (bytes.readUInt32LE(BODY) & GETATTR_FH) === 0 ? undefined : decodeHandle(bytes, 8);
}

/** A file handle `offset` bytes into the body (0 in read, write, flush, fsync and release). */
export function decodeHandle(bytes: Buffer, offset = 0): HandleId {
  return readU64(bytes, BODY + offset) as HandleId;
}

/** fuse_setattr_in. The change time is ours to decide and left out. */
export function decodeSetAttributes(bytes: Buffer): { changes: SetAttributes; handle: HandleId | undefined } {
  const valid = bytes.readUInt32LE(BODY);
  const has = (bit: number) => (valid & bit) !== 0;
  const accessTimeNs = has(FATTR.ATIME_NOW) ? "now" : readTime(bytes, BODY + 32, BODY + 56);
  const modifyTimeNs = has(FATTR.MTIME_NOW) ? "now" : readTime(bytes, BODY + 40, BODY + 60);
  return {
    changes: {
      ...(has(FATTR.MODE) && { mode: bytes.readUInt32LE(BODY + 68) & 0o7777 }),
      ...(has(FATTR.UID) && { uid: bytes.readUInt32LE(BODY + 76) }),
      ...(has(FATTR.GID) && { gid: bytes.readUInt32LE(BODY + 80) }),
      ...(has(FATTR.SIZE) && { size: readU64(bytes, BODY + 16) }),
      ...(has(FATTR.ATIME) && { accessTimeNs }),
      ...(has(FATTR.MTIME) && { modifyTimeNs }),
    },
    handle: has(FATTR.FH) ? decodeHandle(bytes, 8) : undefined,
  };
}

function readTime(bytes: Buffer, secondsAt: number, nanosecondsAt: number): bigint {
  return bytes.readBigInt64LE(secondsAt) * 1_000_000_000n + BigInt(bytes.readUInt32LE(nanosecondsAt));
}

/** fuse_mknod_in. */
export function decodeMakeNode(bytes: Buffer): {
  mode: number;
  deviceNumber: number;
  umask: number;
  name: string;
} {
  return {
    mode: bytes.readUInt32LE(BODY),
    deviceNumber: bytes.readUInt32LE(BODY + 4),
    umask: bytes.readUInt32LE(BODY + 8),
    name: decodeName(bytes, 16),
  };
}

/** fuse_mkdir_in. */
export function decodeMakeDirectory(bytes: Buffer): { mode: number; umask: number; name: string } {
  return {
    mode: bytes.readUInt32LE(BODY) & 0o7777,
    umask: bytes.readUInt32LE(BODY + 4),
    name: decodeName(bytes, 8),
  };
}

export interface RenameRequest {
  readonly newParent: InodeId;
  /** As of renameat2(2). */
  readonly flags: number;
  readonly oldName: string;
  readonly newName: string;
}

/** fuse_rename_in. */
export function decodeRename(bytes: Buffer): RenameRequest {
  const [oldName, newName] = decodeTwoNames(bytes, 8);
  return { newParent: readU64(bytes, BODY) as InodeId, flags: 0, oldName, newName };
}

/** fuse_rename2_in. */
export function decodeRename2(bytes: Buffer): RenameRequest {
  const [oldName, newName] = decodeTwoNames(bytes, 16);
  return {
    newParent: readU64(bytes, BODY) as InodeId,
    flags: bytes.readUInt32LE(BODY + 8),
    oldName,
    newName,
  };
}

/** fuse_link_in; the header's node is the new parent. */
export function decodeLink(bytes: Buffer): { inode: InodeId; newName: string } {
  return { inode: readU64(bytes, BODY) as InodeId, newName: decodeName(bytes, 8) };
}

/** fuse_open_in: flags as of open(2). */
export function decodeOpen(bytes: Buffer): number {
  return bytes.readUInt32LE(BODY);
}

/** fuse_create_in. */
export function decodeCreate(bytes: Buffer): { flags: number; mode: number; umask: number; name: string } {
  return {
    flags: bytes.readUInt32LE(BODY),
    mode: bytes.readUInt32LE(BODY + 4) & 0o7777,
    umask: bytes.readUInt32LE(BODY + 8),
    name: decodeName(bytes, 16),
  };
}

export interface ReadRequest {
  readonly handle: HandleId;
  readonly offset: number;
  readonly size: number;
}

/** fuse_read_in, of READ, READDIR and READDIRPLUS. */
export function decodeRead(bytes: Buffer): ReadRequest {
  return {
    handle: decodeHandle(bytes),
    offset: readU64(bytes, BODY + 8),
    size: bytes.readUInt32LE(BODY + 16),
  };
}

/** fuse_write_in. `data` is a view of `bytes`. */
export function decodeWrite(bytes: Buffer): {
  handle: HandleId;
  offset: number;
  data: Buffer;
  fromMapping: boolean;
} {
  const size = bytes.readUInt32LE(BODY + 16);
  const start = BODY + WRITE_IN_SIZE;
  return {
    handle: decodeHandle(bytes),
    offset: readU64(bytes, BODY + 8),
    data: bytes.subarray(start, start + size),
    fromMapping: (bytes.readUInt32LE(BODY + 20) & WRITE_CACHE) !== 0,
  };
}

/** fuse_fsync_in, of FSYNC and FSYNCDIR. */
export function decodeFsync(bytes: Buffer): { handle: HandleId; flags: number } {
  return { handle: decodeHandle(bytes), flags: bytes.readUInt32LE(BODY + 8) };
}

/** fuse_fallocate_in: mode as of fallocate(2). */
export function decodeFallocate(bytes: Buffer): {
  handle: HandleId;
  offset: number;
  length: number;
  mode: number;
} {
  return {
    handle: decodeHandle(bytes),
    offset: readU64(bytes, BODY + 8),
    length: readU64(bytes, BODY + 16),
    mode: bytes.readUInt32LE(BODY + 24),
  };
}

/** fuse_copy_file_range_in, of COPY_FILE_RANGE and COPY_FILE_RANGE_64; the header's node is the source. */
export function decodeCopyRange(bytes: Buffer): {
  from: Omit<FilePosition, "inode">;
  to: FilePosition;
  length: number;
  flags: number;
} {
  return {
    from: { handle: decodeHandle(bytes), offset: readU64(bytes, BODY + 8) },
    to: {
      inode: readU64(bytes, BODY + 16) as InodeId,
      handle: decodeHandle(bytes, 24),
      offset: readU64(bytes, BODY + 32),
    },
    length: readU64(bytes, BODY + 40),
    flags: readU64(bytes, BODY + 48),
  };
}

/** fuse_lseek_in: whence as of lseek(2). */
export function decodeSeek(bytes: Buffer): { handle: HandleId; offset: number; whence: number } {
  return {
    handle: decodeHandle(bytes),
    offset: readU64(bytes, BODY + 8),
    whence: bytes.readUInt32LE(BODY + 16),
  };
}

/** fuse_setxattr_in, the name and the value; flags as of setxattr(2). */
export function decodeSetExtended(bytes: Buffer): { name: string; value: Buffer; flags: number } {
  const start = endOfName(bytes, BODY + SETXATTR_IN_SIZE) + 1;
  return {
    name: decodeName(bytes, SETXATTR_IN_SIZE),
    value: Buffer.from(bytes.subarray(start, start + bytes.readUInt32LE(BODY))), // needed after the buffer is
    flags: bytes.readUInt32LE(BODY + 4),
  };
}

/** fuse_getxattr_in, of LISTXATTR: for how many bytes there is room; 0 asks how many there are. */
export function decodeRoom(bytes: Buffer): number {
  return bytes.readUInt32LE(BODY);
}

/** fuse_getxattr_in and the name. */
export function decodeGetExtended(bytes: Buffer): { name: string; room: number } {
  return { name: decodeName(bytes, GETXATTR_IN_SIZE), room: decodeRoom(bytes) };
}

/** fuse_interrupt_in: the id of the request that is to be interrupted. */
export function decodeInterrupt(bytes: Buffer): bigint {
  return bytes.readBigUInt64LE(BODY);
}
