// A node's attributes as programs see them, and for how long the kernel may keep them.

import {
  ROOT_INODE,
  type Attributes,
  type AttributesReply,
  type Entry,
  type FileSystemStatistics,
} from "./filesystem.ts";
import type { Context } from "./context.ts";
import { NAME_MAX_BYTES } from "./names.ts";
import { isDirectory, isFile, isLocal, type FileNode, type Node } from "./nodes.ts";
import { SAME_CALL_MS, asksAlways, remainingTrustMs } from "./trust.ts";

/** What statfs reports and st_blksize suggests. */
const BLOCK_BYTES = 4096;
const STAT_BLOCK_BYTES = 512;
const DIRECTORY_BYTES = 4096;

const REPORTED_BLOCKS = 2 ** 50 / BLOCK_BYTES;
const REPORTED_FILES = 2 ** 32 - 1;
/** A bucket has no size; installers and `df` want one. */
export const STATISTICS: FileSystemStatistics = {
  blockSize: BLOCK_BYTES,
  blocks: REPORTED_BLOCKS,
  blocksFree: REPORTED_BLOCKS,
  files: REPORTED_FILES,
  filesFree: REPORTED_FILES,
  nameLengthMax: NAME_MAX_BYTES,
};

/** Takes in what the kernel wrote by itself: another mtime of the copy is a write we were not told of. */
export function refreshTimes(file: FileNode): void {
  const { copy } = file;
  if (copy === undefined || !copy.isOpen || !(file.access === "kernel" || file.mayBeStoredTo)) return;
  const { modifiedNs } = copy.observe();
  if (modifiedNs === file.seenModifiedNs) return;
  file.seenModifiedNs = modifiedNs;
  file.modifyTimeNs = modifiedNs;
  file.changeTimeNs = modifiedNs;
  file.timeGiven = false;
}

/** As a write: we changed an open file's copy by ourselves, in whichever way the kernel gets at its bytes. */
export function noteChange(file: FileNode, nowNs: bigint): void {
  Object.assign(file, { modifyTimeNs: nowNs, changeTimeNs: nowNs, timeGiven: false });
  if (file.copy !== undefined) file.seenModifiedNs = file.copy.observe().modifiedNs;
}

export function attributesOf(node: Node): Attributes {
  if (isFile(node)) refreshTimes(node);
  const size = sizeOf(node);
  const { id, kind, mode, uid, gid, modifyTimeNs, accessTimeNs, changeTimeNs } = node;
  return {
    inode: id,
    kind,
    mode,
    uid,
    gid,
    size,
    blocks: Math.ceil(bytesTaken(node, size) / STAT_BLOCK_BYTES),
    linkCount: linkCountOf(node),
    accessTimeNs,
    modifyTimeNs,
    changeTimeNs,
    deviceNumber: "deviceNumber" in node ? node.deviceNumber : 0,
  };
}

/**
 * As on a disk, a folder has a link from its parent, one from itself and one from each folder in it. Of one that was never
 * listed nobody knows how many these are: 1 says so, as btrfs always does, and programs then look for themselves.
 */
export function linkCountOf(node: Node): number {
  if (node.parent === undefined && node.id !== ROOT_INODE) return 0;
  if (!isDirectory(node)) return 1;
  return node.listed === undefined ? 1 : 2 + node.children.folders;
}

/** An object has no holes. A complete copy may have, for as long as it is what programs have open. */
function bytesTaken(node: Node, size: number): number {
  const copy = isFile(node) && node.opened.size > 0 ? node.copy : undefined;
  return copy?.whole === true ? copy.observe().allocatedBytes : size;
}

function sizeOf(node: Node): number {
  if (isFile(node)) return node.size;
  if (isDirectory(node)) return DIRECTORY_BYTES;
  return Buffer.byteLength(node.linkTarget ?? "");
}

/** A folder's attributes: the kernel knows of every change made here; of others' only its times are late. */
export const DIRECTORY_ATTRIBUTES_MS = 1000;

/** By which clock and which rule the kernel is told how long an answer is good for. */
type Asked = Pick<Context, "monotonicMs" | "trust">;

/** How long the kernel may use what it is told now. What only this machine changes is asked about soon, at no cost. */
function validMs(node: Node, { monotonicMs, trust }: Asked): number {
  const trustMs = remainingTrustMs(node.confirmed, monotonicMs());
  if (isDirectory(node) && trustMs > 0) return trustMs; // and no look at all that is below it
  if (asksAlways(trust) && !isDirectory(node)) return 0; // once it is closed others may change it
  return isLocal(node) ? SAME_CALL_MS : trustMs;
}

/** Every walk along a path needs those of its folders. */
function attributesValidMs(node: Node, entryValidMs: number): number {
  return isDirectory(node) ? Math.max(entryValidMs, DIRECTORY_ATTRIBUTES_MS) : entryValidMs;
}

export function attributesReply(node: Node, asked: Asked): AttributesReply {
  return {
    attributes: attributesOf(node),
    // Worked out for those who ask: of a folder it may cost a look at everything in it.
    get attributesValidMs() {
      return attributesValidMs(node, isDirectory(node) ? 0 : validMs(node, asked));
    },
  };
}

/** An answer that gives the kernel one more reference to the node. */
export function entryReply(node: Node, asked: Asked): Entry {
  node.lookupCount += 1;
  let known: number | undefined;
  const valid = (): number => (known ??= validMs(node, asked));
  return {
    attributes: attributesOf(node),
    get attributesValidMs() {
      return attributesValidMs(node, valid());
    },
    get entryValidMs() {
      return valid();
    },
  };
}
