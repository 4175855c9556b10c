// A successor's tree: what its predecessor had told the kernel, put together again from handover.db.
//
// The bucket is not asked: what is restored counts as unconfirmed, so the next use of a name asks. Nothing is fetched
// or uploaded here, but what was on its way to rest or owed goes on by itself.

import { Fetcher, ReaderPosition } from "../../copies/fetch.ts";
import type { Context } from "../context.ts";
import { FileSystemError } from "../errors.ts";
import { ROOT_INODE, type BackingId, type InodeId } from "../filesystem.ts";
import {
  DirectoryNode,
  FileNode,
  isDirectory,
  isFile,
  SpecialNode,
  type Node,
  type OpenFile,
} from "../nodes.ts";
import type { HandoverDatabase } from "../../handover/database.ts";
import { decodeNode, type FileRecord, type NodeRecord } from "./node-record.ts";

/** What has been put together again. */
export interface Restored {
  readonly files: readonly FileNode[];
  readonly handles: readonly OpenFile[];
  /** Nodes whose attributes are owed to the bucket. */
  readonly patches: readonly Node[];
  /** Unlinked files whose object is still there for their readers. */
  readonly postponed: readonly {
    readonly node: FileNode;
    readonly parent: DirectoryNode;
    readonly name: string;
  }[];
  /** Local files the kernel reads and writes by itself. */
  readonly backings: ReadonlySet<BackingId>;
  /** Those of files nobody has open: to be given back, if they were not. */
  readonly closedBackings: ReadonlySet<BackingId>;
}

export function restoreTree(context: Context, database: HandoverDatabase): Restored {
  return new Restorer(context, database).restore();
}

class Restorer {
  readonly #context: Context;
  readonly #database: HandoverDatabase;
  readonly #nodes = new Map<InodeId, Node>();
  readonly #files: FileNode[] = [];
  readonly #handles: OpenFile[] = [];
  readonly #backings = new Set<BackingId>();
  readonly #closedBackings = new Set<BackingId>();

  constructor(context: Context, database: HandoverDatabase) {
    this.#context = context;
    this.#database = database;
  }

  /** One record at a time: programs wait, and many at once keep the collector busy for longer than all the rest. */
  restore(): Restored {
    for (const { inode, record } of this.#database.rows("SELECT inode, record FROM nodes"))
      if (record instanceof Uint8Array && !this.#nodes.has(Number(inode) as InodeId))
        this.#take(Number(inode) as InodeId, decodeNode(record));
    const postponed = this.#files.flatMap((node) => {
      const parent = node.postponed && this.#nodes.get(node.postponed.parent);
      return isDirectory(parent) && node.postponed !== undefined
        ? [{ node, parent, name: node.postponed.name }]
        : [];
    });
    const patches = [...this.#nodes.values()].filter(({ patchOwed }) => patchOwed);
    const [files, handles] = [this.#files, this.#handles];
    const [backings, closedBackings] = [this.#backings, this.#closedBackings];
    return { files, handles, patches, postponed, backings, closedBackings };
  }

  #node(inode: InodeId): Node | undefined {
    const known = this.#nodes.get(inode);
    if (known !== undefined) return known;
    const row = this.#database.row("SELECT record FROM nodes WHERE inode = ?", inode);
    return row?.["record"] instanceof Uint8Array ? this.#take(inode, decodeNode(row["record"])) : undefined;
  }

  /** Parents first. A node whose parent is not known has lost its name. */
  #take(inode: InodeId, record: NodeRecord): Node | undefined {
    if (this.#isUnanswered(record)) return undefined;
    const parent = record.parent === undefined ? undefined : this.#node(record.parent);
    const place = isDirectory(parent) ? parent : undefined;
    const node = inode === ROOT_INODE ? this.#context.tree.root : this.#make(inode, record);
    this.#nodes.set(inode, node);
    const { lookupCount, mode, uid, gid, extended, patchOwed } = record;
    const { modifyTimeNs, accessTimeNs, changeTimeNs } = record;
    Object.assign(node, { lookupCount, mode, uid, gid, extended, patchOwed });
    Object.assign(node, { modifyTimeNs, accessTimeNs, changeTimeNs });
    if (isDirectory(node) && record.kind === "directory") {
      node.placeholder = record.placeholder;
      node.createdMs = record.createdMs;
    }
    if (isFile(node) && record.kind === "file") this.#fill(node, opened(record));
    this.#context.tree.restore(node, place);
    return node;
  }

  #make(inode: InodeId, record: NodeRecord): Node {
    if (record.kind === "file") return new FileNode(inode, undefined, record.name);
    if (record.kind === "directory") return new DirectoryNode(inode, undefined, record.name);
    const { kind, name, version, linkTarget, deviceNumber } = record;
    const node = new SpecialNode(inode, undefined, name, kind, version);
    return Object.assign(node, { linkTarget, deviceNumber });
  }

  #fill(node: FileNode, record: FileRecord): void {
    const { version, replaces, access, backing, writtenWhole, exclusive, timeGiven, seenModifiedNs } = record;
    const { pagesGiven, supplanted, following, conflict, failure, postponed, unsureAppend, owed, spilled } =
      record;
    Object.assign(node, { version, replaces, writtenWhole, exclusive, timeGiven, seenModifiedNs });
    Object.assign(node, { pagesGiven, supplanted, following, conflict, postponed, owed, spilled });
    if (failure !== undefined) node.saveError = new FileSystemError("EIO", failure);
    for (const id of record.unsure) node.becomeUnsure(id);
    this.#files.push(node);
    const open = record.handles.length > 0;
    if (record.copy !== undefined && (open || !record.copy.promised)) this.#takeCopy(node, record);
    if (unsureAppend !== undefined && node.copy !== undefined)
      node.unsureAppend = { ...unsureAppend, copy: node.copy };
    // Of a closed file it may have been given back already.
    if (open) Object.assign(node, { access, backing });
    if (backing !== undefined) (open ? this.#backings : this.#closedBackings).add(backing);
    for (const handle of record.handles)
      this.#handles.push({ opener: 0, ...handle, node, position: new ReaderPosition() });
  }

  #takeCopy(node: FileNode, { copy: record, handles }: FileRecord): void {
    const open = handles.length > 0;
    const { store, bucket, log } = this.#context;
    if (record === undefined) return;
    try {
      node.copy = store.restore(record);
      if (!node.copy.whole) node.fetcher = new Fetcher(bucket, node.copy);
    } catch (error) {
      // Of a closed one it was given up after the last record.
      const level = open ? "error" : "debug";
      log[level]({ err: error, copy: record.id, name: node.name }, "the local copy of an open file is gone");
    }
  }

  /**
   * A file that was being created when the worker died, a lock also if it was made in the bucket: the kernel does not know it,
   * and asks again.
   */
  #isUnanswered(record: NodeRecord): boolean {
    if (record.kind !== "file" || record.lookupCount > 0 || (record.version?.size ?? 0) > 0) return false;
    if (record.owed !== undefined || record.patchOwed) return false;
    return record.copy === undefined || this.#context.store.sizeOf(record.copy.id) === 0;
  }
}

/** The kernel holds on to what it has open. Another file was being opened when the worker died, and that request comes again. */
function opened(record: FileRecord): FileRecord {
  return record.lookupCount > 0 ? record : { ...record, handles: [] };
}
