// Answers and notifications as bytes. One function per structure of linux/fuse.h; each answer is built with room
// for its header in front, so that one write hands it over.

import type {
  Access,
  Attributes,
  AttributesReply,
  Entry,
  FileSystemStatistics,
  HandleId,
  InodeId,
  OpenedFile,
} from "../../filesystem/filesystem.ts";
import { TYPE_BITS } from "../file-type.ts";
import {
  ATTR_OUT_SIZE,
  COPY_FILE_RANGE_OUT_SIZE,
  ENTRY_OUT_SIZE,
  EXPIRE_ONLY,
  FOPEN,
  GETXATTR_OUT_SIZE,
  INIT_OUT_SIZE,
  LSEEK_OUT_SIZE,
  NOTIFY,
  OPEN_OUT_SIZE,
  OUT_HEADER_SIZE,
  STATFS_OUT_SIZE,
  WRITE_OUT_SIZE,
} from "./protocol.ts";

const BODY = OUT_HEADER_SIZE;

// The kernel derives the block bits of its inode from this; more than a page is not supported by all versions
// for files in the page cache. Programs that profit from larger reads (cp, cat) use 128 KiB and more anyway.
const BLOCK_SIZE = 4096;

// Longest time an answer may be kept; also stands for "for ever". About 68 years.
const LONGEST_VALIDITY_SECONDS = 0x7fff_ffff;

/** fuse_out_header with a positive errno (0: success), for an answer without body. */
export function encodeError(unique: bigint, errno: number): Buffer {
  return finishAnswer(Buffer.alloc(OUT_HEADER_SIZE), unique, errno);
}

/** Writes fuse_out_header into the room in front of an answer. `extra` bytes follow in a second buffer. */
export function finishAnswer(answer: Buffer, unique: bigint, errno = 0, extra = 0): Buffer {
  answer.writeUInt32LE(answer.length + extra, 0);
  answer.writeInt32LE(-errno, 4);
  answer.writeBigUInt64LE(unique, 8);
  return answer;
}

/** An answer with no body, or whose body is passed to `finishAnswer` as extra. */
export function encodeEmpty(): Buffer {
  return Buffer.alloc(OUT_HEADER_SIZE);
}

/** A body of plain bytes (READLINK). */
export function encodeBytes(text: string): Buffer {
  return Buffer.concat([Buffer.alloc(OUT_HEADER_SIZE), Buffer.from(text, "utf8")]);
}

function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, at);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

/** fuse_attr at `at`. */
export function writeAttributes(bytes: Buffer, attributes: Attributes, at: number): void {
  writeU64(bytes, attributes.inode, at);
  writeU64(bytes, attributes.size, at + 8);
  writeU64(bytes, attributes.blocks, at + 16);
  writeTime(bytes, attributes.accessTimeNs, at + 24, at + 48);
  writeTime(bytes, attributes.modifyTimeNs, at + 32, at + 52);
  writeTime(bytes, attributes.changeTimeNs, at + 40, at + 56);
  bytes.writeUInt32LE(TYPE_BITS[attributes.kind] | (attributes.mode & 0o7777), at + 60);
  bytes.writeUInt32LE(attributes.linkCount, at + 64);
  bytes.writeUInt32LE(attributes.uid, at + 68);
  bytes.writeUInt32LE(attributes.gid, at + 72);
  bytes.writeUInt32LE(attributes.deviceNumber, at + 76);
  bytes.writeUInt32LE(BLOCK_SIZE, at + 80);
  bytes.writeUInt32LE(0, at + 84);
}

function writeTime(bytes: Buffer, timeNs: bigint, secondsAt: number, nanosecondsAt: number): void {
  const nanoseconds = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n; // also before 1970
  bytes.writeBigInt64LE((timeNs - nanoseconds) / 1_000_000_000n, secondsAt);
  bytes.writeUInt32LE(Number(nanoseconds), nanosecondsAt);
}

function writeValidity(bytes: Buffer, validMs: number, secondsAt: number, nanosecondsAt: number): void {
  const seconds = Math.min(Math.floor(Math.max(validMs, 0) / 1000), LONGEST_VALIDITY_SECONDS);
  const restMs = seconds === LONGEST_VALIDITY_SECONDS ? 0 : Math.max(validMs, 0) - seconds * 1000;
  writeU64(bytes, seconds, secondsAt);
  bytes.writeUInt32LE(Math.floor(restMs * 1e6), nanosecondsAt);
}

/** fuse_attr_out. */
export function encodeAttributes(reply: AttributesReply): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + ATTR_OUT_SIZE);
  writeValidity(answer, reply.attributesValidMs, BODY, BODY + 8);
  writeAttributes(answer, reply.attributes, BODY + 16);
  return answer;
}

/** fuse_entry_out at `at`. Inode numbers are never reused, so the generation stays 0. */
export function writeEntry(bytes: Buffer, entry: Entry, at: number): void {
  writeU64(bytes, entry.attributes.inode, at);
  writeU64(bytes, 0, at + 8);
  writeValidity(bytes, entry.entryValidMs, at + 16, at + 32);
  writeValidity(bytes, entry.attributesValidMs, at + 24, at + 36);
  writeAttributes(bytes, entry.attributes, at + 40);
}

export function encodeEntry(entry: Entry): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + ENTRY_OUT_SIZE);
  writeEntry(answer, entry, BODY);
  return answer;
}

/** fuse_open_out at `at`. */
function writeOpened(bytes: Buffer, opened: OpenedFile, at: number): void {
  writeU64(bytes, opened.handle, at);
  bytes.writeUInt32LE(openFlags(opened.access) | (opened.noFlush ? FOPEN.NOFLUSH : 0), at + 8);
  bytes.writeInt32LE(opened.access.by === "kernel" ? opened.access.backing : 0, at + 12);
}

function openFlags(access: Access): number {
  if (access.by === "kernel") return FOPEN.PASSTHROUGH; // refused together with KEEP_CACHE
  return access.keepCache ? FOPEN.KEEP_CACHE : 0;
}

export function encodeOpened(opened: OpenedFile): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + OPEN_OUT_SIZE);
  writeOpened(answer, opened, BODY);
  return answer;
}

/** fuse_open_out of a folder. No flags: the kernel must not keep listings, which change behind its back. */
export function encodeOpenedDirectory(handle: HandleId): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + OPEN_OUT_SIZE);
  writeU64(answer, handle, BODY);
  return answer;
}

/** fuse_entry_out followed by fuse_open_out. */
export function encodeCreated(entry: Entry, opened: OpenedFile): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + ENTRY_OUT_SIZE + OPEN_OUT_SIZE);
  writeEntry(answer, entry, BODY);
  writeOpened(answer, opened, BODY + ENTRY_OUT_SIZE);
  return answer;
}

/** fuse_write_out. */
export function encodeWritten(size: number): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + WRITE_OUT_SIZE);
  answer.writeUInt32LE(size, BODY);
  return answer;
}

/** fuse_copy_file_range_out, which COPY_FILE_RANGE_64 is answered with. */
export function encodeCopied(size: number): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + COPY_FILE_RANGE_OUT_SIZE);
  writeU64(answer, size, BODY);
  return answer;
}

/** fuse_lseek_out. */
export function encodeSought(offset: number): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + LSEEK_OUT_SIZE);
  writeU64(answer, offset, BODY);
  return answer;
}

/** fuse_getxattr_out: how long the answer to GETXATTR or LISTXATTR would be. */
export function encodeExtendedSize(size: number): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + GETXATTR_OUT_SIZE);
  answer.writeUInt32LE(size, BODY);
  return answer;
}

/** fuse_statfs_out. */
export function encodeStatistics(statistics: FileSystemStatistics): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + STATFS_OUT_SIZE);
  writeU64(answer, statistics.blocks, BODY);
  writeU64(answer, statistics.blocksFree, BODY + 8);
  writeU64(answer, statistics.blocksFree, BODY + 16); // bavail: no part is reserved for root
  writeU64(answer, statistics.files, BODY + 24);
  writeU64(answer, statistics.filesFree, BODY + 32);
  answer.writeUInt32LE(statistics.blockSize, BODY + 40);
  answer.writeUInt32LE(statistics.nameLengthMax, BODY + 44);
  answer.writeUInt32LE(statistics.blockSize, BODY + 48); // frsize: the unit of the counts above
  return answer;
}

/** What we agree to in answer to INIT. */
export interface InitAnswer {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
  readonly maxWriteBytes: number;
  readonly timeGranularityNs: number;
  readonly maxPages: number;
  readonly maxStackDepth: number;
}

/** fuse_init_out. */
export function encodeInit(init: InitAnswer): Buffer {
  const answer = Buffer.alloc(OUT_HEADER_SIZE + INIT_OUT_SIZE);
  answer.writeUInt32LE(init.major, BODY);
  answer.writeUInt32LE(init.minor, BODY + 4);
  answer.writeUInt32LE(init.maxReadahead, BODY + 8);
  answer.writeUInt32LE(init.flags, BODY + 12);
  answer.writeUInt16LE(init.maxBackground, BODY + 16);
  answer.writeUInt16LE(init.congestionThreshold, BODY + 18);
  answer.writeUInt32LE(init.maxWriteBytes, BODY + 20);
  answer.writeUInt32LE(init.timeGranularityNs, BODY + 24);
  answer.writeUInt16LE(init.maxPages, BODY + 28);
  answer.writeUInt32LE(init.flags2, BODY + 32);
  answer.writeUInt32LE(init.maxStackDepth, BODY + 36);
  return answer;
}

function notification(code: number, bodySize: number): Buffer {
  const bytes = Buffer.alloc(OUT_HEADER_SIZE + bodySize);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeInt32LE(code, 4);
  return bytes;
}

/** fuse_notify_inval_inode_out with offset -1: attributes only, so no page lock is waited for (FUSE.md §5). */
export function encodeAttributesChanged(inode: InodeId): Buffer {
  const bytes = notification(NOTIFY.INVAL_INODE, 24);
  writeU64(bytes, inode, BODY);
  bytes.writeBigInt64LE(-1n, BODY + 8);
  return bytes;
}

/** fuse_notify_inval_entry_out and the name with its zero byte. */
export function encodeEntryChanged(parent: InodeId, name: string, expireOnly: boolean): Buffer {
  const nameBytes = Buffer.from(name, "utf8");
  const bytes = notification(NOTIFY.INVAL_ENTRY, 16 + nameBytes.length + 1);
  writeU64(bytes, parent, BODY);
  bytes.writeUInt32LE(nameBytes.length, BODY + 8);
  bytes.writeUInt32LE(expireOnly ? EXPIRE_ONLY : 0, BODY + 12);
  nameBytes.copy(bytes, BODY + 16);
  return bytes;
}

/** All cached names expire, without any lock. */
export function encodeEpochIncrement(): Buffer {
  return notification(NOTIFY.INC_EPOCH, 0);
}

/** What was read and not answered by an earlier process comes again (FUSE_NOTIFY_RESEND). */
export function encodeResend(): Buffer {
  return notification(NOTIFY.RESEND, 0);
}
