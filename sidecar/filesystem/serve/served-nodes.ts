// What the kernel of the serve mount knows by number: folders, and object versions.
//
// A version never changes, so its number stands for the same bytes for as long as the kernel knows it; another
// version of the same name has another number (nginx's open_file_cache compares nothing else). A rename moves the
// version along: the bytes are the same. Folders are those of the tree. A version whose name was taken back is forgotten
// by the kernel as soon as nobody has it open (fuse_super_operations.drop_inode is generic_delete_inode).

import type { ObjectInfo } from "../../bucket/bucket.ts";
import { ReaderPosition } from "../../copies/fetch.ts";
import { FileSystemError } from "../errors.ts";
import { ROOT_INODE, type InodeId, type Kernel } from "../filesystem.ts";
import type { NodeJournal } from "../handover/node-record.ts";
import { encodeServed, type ServedRecord } from "../handover/served-record.ts";
import { isDirectory, type DirectoryNode, type Node, type ObjectNode } from "../nodes.ts";
import type { Tree } from "../tree.ts";

/** Above this many versions, the kernel is asked to let go of those that were not looked up for longest. */
const VERSIONS_MAX = 30_000;
/** How many of them at a time. */
const TRIM = 500;
/** Readers of one version that are told apart, so that each one's sequence is seen. */
const READERS_MAX = 8;

/** A name as it was last given out. */
interface Place {
  readonly parent: ServedDirectory;
  readonly name: string;
}

export class ServedDirectory {
  readonly kind = "directory";
  readonly id: InodeId;
  readonly directory: DirectoryNode;
  lookupCount = 0;
  /** Names the kernel may remember. */
  readonly names = new Map<string, ServedNode>();

  constructor(id: InodeId, directory: DirectoryNode) {
    this.id = id;
    this.directory = directory;
  }
}

export class ServedVersion {
  readonly kind = "version";
  readonly id: InodeId;
  /** The node that stands for this version; undefined once it stands for a newer one, or if none ever did. */
  node: ObjectNode | undefined;
  lookupCount = 0;
  place: Place | undefined;
  #last: ObjectInfo;
  #readers: ReaderPosition[] = [];

  constructor(id: InodeId, node: ObjectNode | undefined, version: ObjectInfo) {
    this.id = id;
    this.node = node;
    this.#last = version;
  }

  /** The object version as it is called now: a rename gives it another name and generation. */
  get version(): ObjectInfo {
    if (this.node?.version !== undefined) this.#last = this.node.version;
    return this.#last;
  }

  /** The node will stand for other bytes. */
  leaveNode(): void {
    this.#last = this.version;
    this.node = undefined;
  }

  /** Requests name no handle: a reader is known by going on where it was. */
  readerAt(offset: number): ReaderPosition {
    const known = this.#readers.find((reader) => reader.continuesAt(offset));
    if (known !== undefined) return known;
    const reader = new ReaderPosition();
    this.#readers = [reader, ...this.#readers.slice(0, READERS_MAX - 1)];
    return reader;
  }
}

export type ServedNode = ServedDirectory | ServedVersion;

export class ServedNodes {
  readonly #tree: Tree;
  readonly #journal: NodeJournal;
  readonly #forgotten: (version: ServedVersion) => void;
  #kernel: Kernel | undefined;
  readonly #nodes = new Map<InodeId, ServedNode>();
  readonly #directories = new Map<DirectoryNode, ServedDirectory>();
  readonly #versions = new Map<ObjectNode, ServedVersion>();
  #nextInode: number;
  #versionCount = 0;
  #trimming = false;
  readonly #telling = new Set<Promise<void>>();

  /** `forgotten` is called when the kernel does not know a version any more. */
  constructor(tree: Tree, journal: NodeJournal, forgotten: (version: ServedVersion) => void) {
    this.#tree = tree;
    this.#journal = journal;
    this.#nextInode = journal.firstOf("served-inode", ROOT_INODE + 1);
    this.#forgotten = forgotten;
    const root = new ServedDirectory(ROOT_INODE, tree.root);
    root.lookupCount = 1;
    this.#nodes.set(ROOT_INODE, root);
    this.#directories.set(root.directory, root);
  }

  attach(kernel: Kernel): void {
    this.#kernel = kernel;
  }

  get kernel(): Kernel {
    if (this.#kernel === undefined) throw new Error("the serve mount was used before a channel was attached");
    return this.#kernel;
  }

  get(inode: InodeId): ServedNode {
    const node = this.#nodes.get(inode);
    if (node === undefined) throw new FileSystemError("ESTALE", `inode ${inode} is not known`);
    return node;
  }

  directory(inode: InodeId): ServedDirectory {
    const node = this.get(inode);
    if (node.kind !== "directory") throw new FileSystemError("ENOTDIR", "not a folder");
    return node;
  }

  /** The folder of the tree behind a number, if there is one. */
  folder(inode: InodeId): DirectoryNode | undefined {
    const node = this.#nodes.get(inode);
    return node?.kind === "directory" ? node.directory : undefined;
  }

  version(inode: InodeId): ServedVersion {
    const node = this.get(inode);
    if (node.kind !== "version") throw new FileSystemError("EISDIR", "a folder");
    return node;
  }

  has(served: ServedNode): boolean {
    return this.#nodes.get(served.id) === served;
  }

  /** What stands for a node's present version or for a folder, if it was given out and not forgotten. */
  known(node: Node): ServedNode | undefined {
    return isDirectory(node) ? this.#directories.get(node) : this.#versions.get(node);
  }

  /** The name is about to be answered with this node: one more look-up to be forgotten. */
  giveOut(parent: ServedDirectory, name: string, node: Node): ServedNode {
    const served = this.known(node) ?? this.#add(node);
    served.lookupCount += 1;
    parent.names.set(name, served);
    this.#note(served);
    if (served.kind === "version") {
      served.place = { parent, name };
      this.#nodes.delete(served.id); // to the end: last to be trimmed
      this.#nodes.set(served.id, served);
      if (this.#versionCount > VERSIONS_MAX && !this.#trimming) void this.#trim();
    }
    return served;
  }

  /** As `giveOut`, for a version that no node of the tree stands for. */
  giveOutVersion(parent: ServedDirectory, name: string, version: ObjectInfo): ServedVersion {
    const served = new ServedVersion(this.#newInode(), undefined, version);
    served.lookupCount = 1;
    this.#note(served);
    served.place = { parent, name };
    this.#nodes.set(served.id, served);
    this.#versionCount += 1;
    parent.names.set(name, served);
    return served;
  }

  forget(inode: InodeId, count: number): void {
    const served = this.#nodes.get(inode);
    if (served === undefined) return;
    served.lookupCount -= count;
    this.#note(served);
    if (served.lookupCount > 0) return;
    this.#nodes.delete(inode);
    if (served.kind === "directory") {
      this.#directories.delete(served.directory);
      this.#tree.forget(served.directory.id, 1);
      return;
    }
    this.#versionCount -= 1;
    const { node, place } = served;
    if (place?.parent.names.get(place.name) === served) place.parent.names.delete(place.name);
    if (node !== undefined) this.#unlink(served, node);
    this.#forgotten(served);
  }

  /** No number is known any more, but that of the root. */
  forgetAll(): void {
    for (const { id, lookupCount } of this.#nodes.values())
      if (id !== ROOT_INODE) this.forget(id, lookupCount);
  }

  /** The node will stand for another version: whoever knows this one by number keeps it. */
  leave(node: ObjectNode): ServedVersion | undefined {
    const served = this.#versions.get(node);
    if (served !== undefined) this.#unlink(served, node);
    return served;
  }

  nameChanged(parent: DirectoryNode, name: string): void {
    const directory = this.#directories.get(parent);
    const child = directory?.names.get(name);
    if (directory === undefined || child === undefined) return;
    directory.names.delete(name);
    if (child.kind === "version") child.place = undefined;
    this.#note(child);
    this.#tell(this.kernel.entryChanged(directory.id, name));
  }

  attributesChanged(node: Node): void {
    const served = this.known(node);
    if (served !== undefined) this.#tell(this.kernel.attributesChanged(served.id));
  }

  /** Resolves when the kernel knows of every change so far. */
  async told(): Promise<void> {
    if (this.#telling.size > 0) await Promise.all(this.#telling);
  }

  #tell(telling: Promise<void>): void {
    this.#telling.add(telling);
    void telling.finally(() => this.#telling.delete(telling));
  }

  /** What a predecessor had given out. Its nodes are in the tree again. */
  restore(records: Iterable<readonly [InodeId, ServedRecord]>): void {
    const all = new Map(records);
    for (const [id, record] of all) if (record.kind === "directory") this.#restoreDirectory(id, record);
    for (const [id, record] of all) if (record.kind === "version") this.#restoreVersion(id, record);
    for (const served of this.#directories.values()) {
      const { parent, name } = served.directory;
      if (parent !== undefined) this.#directories.get(parent)?.names.set(name, served);
    }
  }

  #restoreDirectory(id: InodeId, { node, lookupCount }: ServedRecord & { kind: "directory" }): void {
    const directory = this.#tree.find(node);
    if (!isDirectory(directory) || id === ROOT_INODE) return;
    const served = Object.assign(new ServedDirectory(id, directory), { lookupCount });
    this.#nodes.set(id, served);
    this.#directories.set(directory, served);
  }

  #restoreVersion(id: InodeId, record: ServedRecord & { kind: "version" }): void {
    const node = record.node === undefined ? undefined : this.#tree.find(record.node);
    const stands = node !== undefined && !isDirectory(node) && node.version !== undefined ? node : undefined;
    const served = new ServedVersion(id, stands, record.version);
    served.lookupCount = record.lookupCount;
    this.#nodes.set(id, served);
    this.#versionCount += 1;
    if (stands !== undefined) this.#versions.set(stands, served);
    const parent = record.place && this.#nodes.get(record.place.parent);
    if (record.place === undefined || parent?.kind !== "directory") return;
    served.place = { parent, name: record.place.name };
    parent.names.set(record.place.name, served);
  }

  #note(served: ServedNode): void {
    this.#journal.noteServed(served.id, () => (this.has(served) ? encodeServed(served) : undefined));
  }

  #newInode(): InodeId {
    this.#journal.reserve("served-inode", this.#nextInode);
    return this.#nextInode++ as InodeId;
  }

  #add(node: Node): ServedNode {
    node.lookupCount += 1; // one for all of this face: the tree must not forget the node
    this.#journal.note(node);
    const id = this.#newInode();
    if (isDirectory(node)) {
      const directory = new ServedDirectory(id, node);
      this.#nodes.set(id, directory);
      this.#directories.set(node, directory);
      return directory;
    }
    if (node.version === undefined) throw new FileSystemError("ENOENT", "not in the bucket yet");
    const version = new ServedVersion(id, node, node.version);
    this.#nodes.set(id, version);
    this.#versions.set(node, version);
    this.#versionCount += 1;
    return version;
  }

  #unlink(served: ServedVersion, node: ObjectNode): void {
    served.leaveNode();
    this.#note(served);
    this.#versions.delete(node);
    this.#tree.forget(node.id, 1);
  }

  /** The kernel keeps what it has for as long as it has memory; we have less. */
  async #trim(): Promise<void> {
    this.#trimming = true;
    const told: Promise<void>[] = [];
    for (const served of this.#nodes.values()) {
      if (told.length === TRIM) break;
      if (served.kind !== "version" || served.place === undefined) continue;
      const { parent, name } = served.place;
      served.place = undefined;
      if (parent.names.get(name) !== served) continue;
      parent.names.delete(name);
      const telling = this.kernel.entryChanged(parent.id, name);
      this.#tell(telling); // a change of that name finds nothing left to tell, and waits for this one
      told.push(telling);
    }
    await Promise.all(told);
    this.#trimming = false;
  }
}
