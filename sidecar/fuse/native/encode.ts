// Attributes and statistics as the addon takes them: arrays of 32-bit numbers, wide ones as two of them, low first
// (populate_stat and populate_statvfs of fuse-native.c).

import type {
  Attributes,
  DirectoryEntry,
  FileKind,
  FileSystemStatistics,
  InodeId,
} from "../../filesystem/filesystem.ts";
import { TYPE_BITS } from "../file-type.ts";

const STAT_LENGTH = 18;
const STATISTICS_LENGTH = 11;
const TWO_TO_32 = 2 ** 32;
/**
 * What st_blksize suggests: the largest request libfuse 2 makes. Reads do not pass through the page cache, so each one
 * costs a round trip; stdio, Python, cp and cmp read as much at once as this says.
 */
const REQUEST_BYTES = 128 * 1024;

/** What an operation that fails must hand over all the same. */
export const NO_STAT = new Uint32Array(STAT_LENGTH);
export const NO_STATISTICS = new Uint32Array(STATISTICS_LENGTH);

// The addon copies it at once; an array for each answer would cost more than the answer.
const shared = new Uint32Array(STAT_LENGTH);

/** Good until the next call. */
export function encodeStat(attributes: Attributes): Uint32Array {
  const ints = shared;
  ints[0] = TYPE_BITS[attributes.kind] | attributes.mode;
  ints[1] = attributes.uid;
  ints[2] = attributes.gid;
  setWide(ints, 3, attributes.size);
  ints[6] = attributes.linkCount;
  ints[7] = attributes.inode; // the lower 32 bits
  ints[8] = attributes.deviceNumber;
  ints[9] = REQUEST_BYTES;
  setWide(ints, 10, attributes.blocks);
  setWide(ints, 12, milliseconds(attributes.accessTimeNs));
  setWide(ints, 14, milliseconds(attributes.modifyTimeNs));
  setWide(ints, 16, milliseconds(attributes.changeTimeNs));
  return ints;
}

/** Names with what a listing tells of each: number and kind. */
export function encodeListing(
  entries: readonly Pick<DirectoryEntry, "name" | "inode" | "kind">[],
): [names: string[], stats: Uint32Array[]] {
  const all = new Uint32Array(STAT_LENGTH * entries.length);
  const stats = entries.map(({ inode, kind }, index) => encodeEntry(all, index, inode, kind));
  return [entries.map(({ name }) => name), stats];
}

function encodeEntry(all: Uint32Array, index: number, inode: InodeId, kind: FileKind): Uint32Array {
  const ints = all.subarray(index * STAT_LENGTH, (index + 1) * STAT_LENGTH);
  ints[0] = TYPE_BITS[kind];
  ints[7] = inode;
  return ints;
}

/** Counts that do not fit are told in larger units: `df` multiplies the two again. */
export function encodeStatistics(statistics: FileSystemStatistics): Uint32Array {
  let { blockSize: unit, blocks, blocksFree } = statistics;
  while (blocks >= TWO_TO_32) {
    unit *= 2;
    blocks = Math.floor(blocks / 2);
    blocksFree = Math.floor(blocksFree / 2);
  }
  const { blockSize, nameLengthMax } = statistics;
  const files = Math.min(statistics.files, TWO_TO_32 - 1);
  const filesFree = Math.min(statistics.filesFree, TWO_TO_32 - 1);
  // f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail, f_fsid, f_flag, f_namemax
  const numbers = [blockSize, unit, blocks, blocksFree, blocksFree, files, filesFree, filesFree, 0, 0];
  return Uint32Array.from([...numbers, nameLengthMax]);
}

function setWide(ints: Uint32Array, at: number, value: number): void {
  ints[at] = value % TWO_TO_32;
  ints[at + 1] = value / TWO_TO_32;
}

/** The addon divides times without sign: what lies before 1970 is shown as its beginning. */
function milliseconds(timeNs: bigint): number {
  return timeNs < 0n ? 0 : Number(timeNs / 1_000_000n);
}
