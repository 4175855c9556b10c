// A node as handover.db keeps it: what cannot be asked of the bucket or seen in the copy's file.

import { deserialize, serialize } from "node:v8";
import type { Generation, ObjectInfo } from "../../bucket/bucket.ts";
import { recordOfCopy, type CopyRecord } from "../../copies/copy-record.ts";
import type { BackingId, FileKind, HandleId, InodeId } from "../filesystem.ts";
import { ROOT_INODE } from "../filesystem.ts";
import type { Journal } from "../../handover/journal.ts";
import { isDirectory, isFile, type FileNode, type Node, type OpenFile, type UnsureAppend } from "../nodes.ts";

interface CommonRecord {
  readonly parent: InodeId | undefined;
  readonly name: string;
  readonly lookupCount: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifyTimeNs: bigint;
  readonly accessTimeNs: bigint;
  readonly changeTimeNs: bigint;
  readonly extended: Readonly<Record<string, string | null>> | undefined;
  readonly patchOwed: boolean;
}

export interface DirectoryRecord extends CommonRecord {
  readonly kind: "directory";
  readonly placeholder: ObjectInfo | "absent" | undefined;
  readonly createdMs: number | undefined;
}

export interface SpecialRecord extends CommonRecord {
  readonly kind: Exclude<FileKind, "file" | "directory">;
  readonly version: ObjectInfo;
  readonly linkTarget: string | undefined;
  readonly deviceNumber: number;
}

export interface HandleRecord {
  readonly id: HandleId;
  readonly writable: boolean;
  readonly append: boolean;
  readonly running: boolean;
  /** Absent in what an earlier version has written. */
  readonly opener?: number;
}

export interface FileRecord extends CommonRecord {
  readonly kind: "file";
  readonly version: ObjectInfo | undefined;
  readonly replaces: Generation | undefined;
  readonly copy: CopyRecord | undefined;
  readonly access: FileNode["access"];
  readonly backing: BackingId | undefined;
  readonly writtenWhole: boolean;
  readonly exclusive: boolean;
  readonly timeGiven: boolean;
  readonly seenModifiedNs: bigint;
  readonly pagesGiven: boolean;
  readonly supplanted: boolean;
  readonly following: FileNode["following"];
  readonly unsureAppend: Omit<UnsureAppend, "copy"> | undefined;
  readonly conflict: ObjectInfo | undefined;
  readonly unsure: readonly string[];
  readonly owed: FileNode["owed"];
  readonly spilled: FileNode["spilled"];
  /** What the last upload failed of. */
  readonly failure: string | undefined;
  /** The name it had, whose object is deleted once its readers have what they need. */
  readonly postponed: FileNode["postponed"];
  readonly handles: readonly HandleRecord[];
}

/** Where nodes are noted whose record has changed. */
export type NodeJournal = Journal<Node>;

export type NodeRecord = DirectoryRecord | SpecialRecord | FileRecord;

/** Whether a successor needs it: the kernel knows it by number, or it has what the bucket has not. */
function isKept(node: Node): boolean {
  if (node.lookupCount > 0 || node.id === ROOT_INODE || node.patchOwed) return true;
  if (!isFile(node)) return false;
  return (
    node.opened.size > 0 ||
    node.owed !== undefined ||
    (node.copy !== undefined && !node.copy.promised && !node.copy.retired)
  );
}

/** Undefined: a successor does not need it. */
export function encodeNode(node: Node): Uint8Array | undefined {
  return isKept(node) ? serialize(recordOf(node)) : undefined;
}

export function decodeNode(bytes: Uint8Array): NodeRecord {
  return deserialize(bytes) as NodeRecord;
}

function recordOf(node: Node): NodeRecord {
  if (isFile(node)) return fileRecord(node);
  if (isDirectory(node)) {
    const { placeholder, createdMs } = node;
    return { kind: "directory", ...common(node), placeholder, createdMs };
  }
  const { kind, version, linkTarget, deviceNumber } = node;
  return { ...common(node), kind, version, linkTarget, deviceNumber };
}

function common(node: Node): CommonRecord {
  const { parent, name, lookupCount, mode, uid, gid, extended, patchOwed } = node;
  const { modifyTimeNs, accessTimeNs, changeTimeNs } = node;
  const times = { modifyTimeNs, accessTimeNs, changeTimeNs };
  return { parent: parent?.id, name, lookupCount, mode, uid, gid, ...times, extended, patchOwed };
}

function recordOfHandle({ id, writable, append, running, opener }: OpenFile): HandleRecord {
  return { id, writable, append, running, opener };
}

function fileRecord(node: FileNode): FileRecord {
  const { version, replaces, access, backing, writtenWhole, exclusive, timeGiven, seenModifiedNs } = node;
  const { pagesGiven, supplanted, following, conflict, saveError, postponed, copy, unsureAppend } = node;
  const { owed, spilled } = node;
  return {
    kind: "file",
    ...common(node),
    version,
    replaces,
    access,
    backing,
    writtenWhole,
    exclusive,
    timeGiven,
    seenModifiedNs,
    pagesGiven,
    supplanted,
    following,
    conflict,
    owed,
    spilled,
    postponed,
    copy: copy === undefined || copy.retired ? undefined : recordOfCopy(copy),
    unsureAppend: unsureAppend === undefined ? undefined : withoutCopy(unsureAppend),
    unsure: [...node.unsure],
    failure: saveError === undefined ? undefined : messageOf(saveError),
    handles: [...node.opened].map(recordOfHandle),
  };
}

function withoutCopy({ id, object, tail, snapshot, attributes }: UnsureAppend): Omit<UnsureAppend, "copy"> {
  const { stamp, size, crc32c, rested } = snapshot;
  const { name, generation } = tail;
  return { id, object, tail: { name, generation }, snapshot: { stamp, size, crc32c, rested }, attributes };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
