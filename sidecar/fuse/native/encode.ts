// Attributes and statistics as the addon takes them: arrays of 32-bit numbers, wide ones as two of them, low first
// (populate_stat and populate_statvfs of fuse-native.c).

import type { Attributes, FileKind, FileSystemStatistics, InodeId } from "../../filesystem/filesystem.ts";
import { TYPE_BITS } from "../file-type.ts";

const STAT_LENGTH = 18;
const STATISTICS_LENGTH = 11;
const TWO_TO_32 = 2 ** 32;

/** What an operation that fails must hand over all the same. */
export const NO_STAT = new Uint32Array(STAT_LENGTH);
export const NO_STATISTICS = new Uint32Array(STATISTICS_LENGTH);

export function encodeStat(attributes: Attributes): Uint32Array {
  const ints = new Uint32Array(STAT_LENGTH);
  ints[0] = TYPE_BITS[attributes.kind] | attributes.mode;
  ints[1] = attributes.uid;
  ints[2] = attributes.gid;
  setWide(ints, 3, attributes.size);
  ints[6] = attributes.linkCount;
  ints[7] = attributes.inode; // the lower 32 bits
  ints[8] = attributes.deviceNumber;
  setWide(ints, 10, attributes.blocks);
  setWide(ints, 12, milliseconds(attributes.accessTimeNs));
  setWide(ints, 14, milliseconds(attributes.modifyTimeNs));
  setWide(ints, 16, milliseconds(attributes.changeTimeNs));
  return ints;
}

/** All that a listing needs of an entry. */
export function encodeEntry(inode: InodeId, kind: FileKind): Uint32Array {
  const ints = new Uint32Array(STAT_LENGTH);
  ints[0] = TYPE_BITS[kind];
  ints[7] = inode;
  return ints;
}

/** Counts that do not fit are told in larger units: `df` multiplies the two again. */
export function encodeStatistics(statistics: FileSystemStatistics): Uint32Array {
  let { blockSize, blocks, blocksFree } = statistics;
  while (blocks >= TWO_TO_32) {
    blockSize *= 2;
    blocks = Math.floor(blocks / 2);
    blocksFree = Math.floor(blocksFree / 2);
  }
  const files = Math.min(statistics.files, TWO_TO_32 - 1);
  const filesFree = Math.min(statistics.filesFree, TWO_TO_32 - 1);
  const { nameLengthMax } = statistics;
  return Uint32Array.of(
    statistics.blockSize,
    blockSize,
    blocks,
    blocksFree,
    blocksFree,
    files,
    filesFree,
    filesFree,
    0, // fsid
    0, // flags
    nameLengthMax,
  );
}

function setWide(ints: Uint32Array, at: number, value: number): void {
  ints[at] = value % TWO_TO_32;
  ints[at + 1] = value / TWO_TO_32;
}

/** The addon divides times without sign: what lies before 1970 is shown as its beginning. */
function milliseconds(timeNs: bigint): number {
  return timeNs < 0n ? 0 : Number(timeNs / 1_000_000n);
}
