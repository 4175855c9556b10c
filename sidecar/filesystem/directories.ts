// Open folders: a snapshot of the names at opendir, so that positions stay right while entries come and go.

import type { Context } from "./context.ts";
import { entryReply } from "./attributes-of.ts";
import { FileSystemError } from "./errors.ts";
import type { DirectoryEntry, HandleId, InodeId } from "./filesystem.ts";
import type { Lookup } from "./lookup.ts";
import { isDirectory, type DirectoryNode, type Node } from "./nodes.ts";

interface OpenDirectory {
  readonly directory: DirectoryNode;
  /** Undefined until the first read, and after a rewind. */
  entries: readonly Node[] | undefined;
}

/** What of a folder is shown, and by which numbers. */
export interface DirectoryView {
  shows(node: Node): boolean;
  inode(node: Node): InodeId;
}

const EVERYTHING: DirectoryView = { shows: () => true, inode: (node) => node.id };

/** `.` and `..` come first. */
const DOT_ENTRIES = 2;

export class OpenDirectories {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #view: DirectoryView;
  readonly #handles = new Map<HandleId, OpenDirectory>();
  #nextHandle = 1;

  constructor(context: Context, lookup: Lookup, view = EVERYTHING) {
    this.#context = context;
    this.#lookup = lookup;
    this.#view = view;
  }

  open(directory: DirectoryNode): HandleId {
    const id = this.#nextHandle++ as HandleId;
    this.#handles.set(id, { directory, entries: undefined });
    return id;
  }

  release(id: HandleId): void {
    this.#handles.delete(id);
  }

  async read(
    id: HandleId,
    offset: number,
    withAttributes: boolean,
    accept: (entry: DirectoryEntry) => boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FileSystemError("EBADF", "the folder is not open");
    if (handle.entries === undefined || offset === 0)
      handle.entries = await this.#snapshot(handle.directory, signal);
    const { directory, entries } = handle;
    for (let position = offset; position < entries.length + DOT_ENTRIES; position += 1) {
      const dot = position === 0 ? directory : position === 1 ? (directory.parent ?? directory) : undefined;
      if (dot !== undefined) {
        const name = position === 0 ? "." : "..";
        if (
          !accept({
            name,
            inode: this.#view.inode(dot),
            kind: "directory",
            nextOffset: position + 1,
            entry: undefined,
          })
        )
          return;
        continue;
      }
      const node = entries[position - DOT_ENTRIES];
      if (node === undefined || node.parent !== directory) continue; // removed since
      if (!this.#offer(node, position + 1, withAttributes, accept)) return;
    }
  }

  async #snapshot(directory: DirectoryNode, signal?: AbortSignal): Promise<readonly Node[]> {
    if (this.#context.tree.isAttached(directory)) await this.#lookup.list(directory, signal);
    return [...directory.children.values()].filter((node) => this.#view.shows(node));
  }

  #offer(
    node: Node,
    nextOffset: number,
    withAttributes: boolean,
    accept: (entry: DirectoryEntry) => boolean,
  ): boolean {
    const { name, kind } = node;
    const inode = this.#view.inode(node);
    if (!withAttributes) return accept({ name, inode, kind, nextOffset, entry: undefined });
    const entry = entryReply(node, this.#context.monotonicMs());
    const accepted = accept({ name, inode, kind: isDirectory(node) ? "directory" : kind, nextOffset, entry });
    if (!accepted) node.lookupCount -= 1;
    return accepted;
  }
}
