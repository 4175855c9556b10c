// Open folders: a snapshot of the names at opendir, so that positions stay right while entries come and go.
//
// A folder with very many names is not held in memory: its listing goes to a file without a name as it is read.

import type { Context } from "./context.ts";
import { entryReply } from "./attributes-of.ts";
import { FileSystemError } from "./errors.ts";
import type { LongListing } from "./explore.ts";
import type { DirectoryEntry, HandleId, InodeId } from "./filesystem.ts";
import type { Face } from "../handover/journal.ts";
import { decodeListing, encodeListing, type OpenDirectoryRecord } from "./handover/listing-record.ts";
import { ListingSpool, type SpooledEntry } from "./listing-spool.ts";
import type { Lookup } from "./lookup.ts";
import { holdingNames, isDirectory, type DirectoryNode, type Node } from "./nodes.ts";

interface OpenDirectory {
  readonly directory: DirectoryNode;
  /** Undefined until the first read, and after a rewind. Entries in place of nodes: read under an earlier worker. */
  names: readonly (Node | SpooledEntry)[] | ListingSpool | undefined;
}

/** What of a folder is shown, and by which numbers. */
export interface DirectoryView {
  shows(node: Node): boolean;
  inode(node: Node): InodeId;
}

type Accept = (entry: DirectoryEntry) => boolean;

const EVERYTHING: DirectoryView = { shows: () => true, inode: (node) => node.id };

/** `.` and `..` come first. */
const DOT_ENTRIES = 2;

export class OpenDirectories {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #view: DirectoryView;
  readonly #face: Face;
  readonly #handles = new Map<HandleId, OpenDirectory>();
  #nextHandle: number;

  constructor(context: Context, lookup: Lookup, view = EVERYTHING, face: Face = "app") {
    this.#context = context;
    this.#lookup = lookup;
    this.#view = view;
    this.#face = face;
    this.#nextHandle = context.journal.firstOf(`${face}-directory`, 1);
  }

  open(directory: DirectoryNode): HandleId {
    const { journal } = this.#context;
    journal.reserve(`${this.#face}-directory`, this.#nextHandle);
    const id = this.#nextHandle++ as HandleId;
    this.#handles.set(id, { directory, names: undefined });
    this.#note(id, { inode: this.#view.inode(directory), listing: undefined });
    return id;
  }

  /** A handle that was open under an earlier worker. */
  restore(id: HandleId, directory: DirectoryNode, { listing }: OpenDirectoryRecord): void {
    this.#handles.set(id, { directory, names: listing === undefined ? undefined : decodeListing(listing) });
    if (listing !== undefined) directory.listings += 1;
  }

  release(id: HandleId): void {
    const handle = this.#handles.get(id);
    this.#handles.delete(id);
    this.#context.journal.noteDirectory(this.#face, id, undefined);
    if (handle !== undefined) this.#drop(handle);
  }

  async read(
    id: HandleId,
    offset: number,
    withAttributes: boolean,
    accept: Accept,
    signal?: AbortSignal,
  ): Promise<void> {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FileSystemError("EBADF", "the folder is not open");
    if (handle.names === undefined || offset === 0) {
      const snapshot = await this.#snapshot(handle.directory, signal);
      this.#drop(handle);
      handle.names = snapshot;
      if (!(snapshot instanceof ListingSpool)) handle.directory.listings += 1; // until it is dropped
    }
    const { directory, names } = handle;
    if (!this.#offerDots(directory, offset, accept)) return;
    const position = Math.max(0, offset - DOT_ENTRIES);
    if (names instanceof ListingSpool) {
      // Without attributes: the kernel would hold on to every one of them.
      await names.read(position, ({ name, inode, kind }, next) =>
        accept({ name, inode, kind, nextOffset: next + DOT_ENTRIES, entry: undefined }),
      );
    } else {
      const all = this.#offerNodes(directory, names, { position, withAttributes, accept });
      // What a successor must go on with. Of what was shown in one answer it need know no more than the length.
      if (offset === 0 && this.#context.journal.kept)
        this.#note(id, {
          inode: this.#view.inode(directory),
          listing: encodeListing(all ? [] : names.map((entry) => this.#entryOf(entry)), names.length),
        });
    }
  }

  #note(id: HandleId, record: OpenDirectoryRecord): void {
    this.#context.journal.noteDirectory(this.#face, id, record);
  }

  #entryOf(entry: Node | SpooledEntry): SpooledEntry {
    return "inode" in entry ? entry : this.#spooled(entry);
  }

  #offerDots(directory: DirectoryNode, offset: number, accept: Accept): boolean {
    for (let position = offset; position < DOT_ENTRIES; position += 1) {
      const node = position === 0 ? directory : (directory.parent ?? directory);
      const entry = { kind: "directory", nextOffset: position + 1, entry: undefined } as const;
      if (!accept({ name: position === 0 ? "." : "..", inode: this.#view.inode(node), ...entry }))
        return false;
    }
    return true;
  }

  #offerNodes(
    directory: DirectoryNode,
    entries: readonly (Node | SpooledEntry)[],
    { position, withAttributes, accept }: { position: number; withAttributes: boolean; accept: Accept },
  ): boolean {
    for (let index = position; index < entries.length; index += 1) {
      const entry = entries[index];
      if (entry === undefined) continue;
      const nextOffset = index + DOT_ENTRIES + 1;
      const node = "inode" in entry ? directory.children.get(entry.name) : entry;
      if (node === undefined) {
        if (!accept({ ...(entry as SpooledEntry), nextOffset, entry: undefined })) return false;
      } else if (node.parent !== directory) {
        continue; // removed since
      } else if (!this.#offer(node, nextOffset, withAttributes, accept)) return false;
    }
    return true;
  }

  async #snapshot(directory: DirectoryNode, signal?: AbortSignal): Promise<readonly Node[] | ListingSpool> {
    const { tree, store } = this.#context;
    const [long, nodes] = await holdingNames(directory, async () => {
      if (!tree.isAttached(directory)) return [undefined, []]; // removed, perhaps elsewhere with all that was in it
      const listing = await this.#lookup.list(directory, signal);
      return [listing, [...directory.children.values()].filter((node) => this.#view.shows(node))];
    });
    return long === undefined
      ? nodes
      : new ListingSpool(await store.openNameless(), this.#entries(directory, nodes, long));
  }

  /** First what is known, then the pages to come without what was known already. */
  #entries(
    directory: DirectoryNode,
    known: readonly Node[],
    long: LongListing,
  ): () => Promise<readonly SpooledEntry[] | undefined> {
    const shown = new Set(known.map(({ name }) => name).filter((name) => !long.names.has(name)));
    let first: readonly Node[] | undefined = known;
    return async () => {
      if (first !== undefined) {
        const entries = first.map((node) => this.#spooled(node));
        first = undefined;
        return entries;
      }
      this.#context.tree.trim();
      return holdingNames(directory, async () => {
        const names = await long.next();
        const nodes = names
          ?.filter((name) => !shown.delete(name))
          .map((name) => directory.children.get(name));
        return nodes
          ?.filter((node) => node !== undefined && this.#view.shows(node))
          .map((node) => this.#spooled(node as Node));
      });
    };
  }

  #spooled(node: Node): SpooledEntry {
    return { name: node.name, inode: this.#view.inode(node), kind: node.kind };
  }

  #drop(handle: OpenDirectory): void {
    const { directory, names } = handle;
    handle.names = undefined;
    if (names instanceof ListingSpool) this.#context.background.start("close listing", () => names.close());
    else if (names !== undefined) directory.listings -= 1;
  }

  #offer(node: Node, nextOffset: number, withAttributes: boolean, accept: Accept): boolean {
    const { name, kind } = node;
    const inode = this.#view.inode(node);
    if (!withAttributes) return accept({ name, inode, kind, nextOffset, entry: undefined });
    const entry = entryReply(node, this.#context);
    const accepted = accept({ name, inode, kind: isDirectory(node) ? "directory" : kind, nextOffset, entry });
    if (accepted) this.#context.journal.note(node);
    else node.lookupCount -= 1;
    return accepted;
  }
}
