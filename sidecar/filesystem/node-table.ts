// All nodes by number. Numbers are never reused while the mount lives.

import { FileSystemError } from "./errors.ts";
import { ROOT_INODE, type InodeId } from "./filesystem.ts";
import type { NodeJournal } from "./handover/node-record.ts";
import { isDirectory, isFile, isLocal, type DirectoryNode, type FileNode, type Node } from "./nodes.ts";

/** Above this many nodes, those nobody uses are forgotten, oldest first; they are found again by asking. */
const NODES_MAX = 100_000;

export class NodeTable {
  readonly #root: DirectoryNode;
  readonly #journal: NodeJournal;
  readonly #detach: (node: Node) => void;
  readonly #nodes = new Map<InodeId, Node>();
  #nextInode: number;
  #evictAbove = NODES_MAX;

  /** `detach` takes the name of a node that is to be forgotten. */
  constructor(root: DirectoryNode, journal: NodeJournal, detach: (node: Node) => void) {
    this.#root = root;
    this.#journal = journal;
    this.#nextInode = journal.firstOf("inode", ROOT_INODE + 1);
    this.#detach = detach;
    this.#nodes.set(ROOT_INODE, root);
  }

  find(inode: InodeId): Node | undefined {
    return this.#nodes.get(inode);
  }

  get(inode: InodeId): Node {
    const node = this.#nodes.get(inode);
    if (node === undefined) throw new FileSystemError("ESTALE", `inode ${inode} is not known`);
    return node;
  }

  directory(inode: InodeId): DirectoryNode {
    const node = this.get(inode);
    if (!isDirectory(node)) throw new FileSystemError("ENOTDIR", "not a folder");
    return node;
  }

  file(inode: InodeId): FileNode {
    const node = this.get(inode);
    if (isDirectory(node)) throw new FileSystemError("EISDIR", "a folder");
    if (!isFile(node)) throw new FileSystemError("EINVAL", `a ${node.kind}`);
    return node;
  }

  newInode(): InodeId {
    this.#journal.reserve("inode", this.#nextInode);
    return this.#nextInode++ as InodeId;
  }

  /** A node of an earlier worker; it keeps its number. */
  restore(node: Node): void {
    this.#nodes.set(node.id, node);
  }

  /** What is added is not forgotten by that: whoever made it has not yet looked at it. */
  add(node: Node): void {
    if (this.#nodes.size >= this.#evictAbove) this.#evict();
    this.#nodes.set(node.id, node);
  }

  /** Forgets what is too much. To be called between the pages of a long listing: what a page brings is held meanwhile. */
  trim(): void {
    if (this.#nodes.size > NODES_MAX) this.#evict();
  }

  /** Gives back references of a kernel. */
  forget(inode: InodeId, count: number): void {
    const node = this.#nodes.get(inode);
    if (node === undefined) return;
    node.lookupCount = Math.max(0, node.lookupCount - count);
    this.#journal.note(node);
    this.dropIfUnused(node);
  }

  /** Drops a node without a name that nobody holds. */
  dropIfUnused(node: Node): void {
    const named = node.parent !== undefined || node === this.#root;
    if (!named && node.lookupCount === 0 && !(isFile(node) && node.opened.size > 0))
      this.#nodes.delete(node.id);
  }

  #evict(): void {
    const surplus = this.#nodes.size - NODES_MAX * 0.9;
    let dropped = 0;
    for (const node of this.#nodes.values()) {
      if (dropped >= surplus) break;
      const leaf = !isDirectory(node) || node.children.size === 0;
      if (node === this.#root || !leaf || isInUse(node) || isHeld(node)) continue;
      if (node.parent !== undefined) node.parent.listed = undefined;
      this.#detach(node);
      dropped += 1;
    }
    // Where most are in use another look would find as little: not before a tenth more of them are there.
    this.#evictAbove = Math.max(NODES_MAX, Math.floor(this.#nodes.size * 1.1));
  }
}

function isInUse(node: Node): boolean {
  return node.lookupCount > 0 || (isFile(node) && isFileInUse(node)) || isLocal(node);
}

/** A copy that has not come to rest may still be written to through a mapping (RULES 1). */
function isFileInUse({ opened, borrowers, openings, copy }: FileNode): boolean {
  return opened.size > 0 || borrowers > 0 || openings.busy || copy?.isOpen === true;
}

/** Somebody is listing the folder it is in, or it itself. */
function isHeld(node: Node): boolean {
  return (isDirectory(node) && node.listings > 0) || (node.parent?.listings ?? 0) > 0;
}
