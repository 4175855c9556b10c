// The tree as far as it is known, and how answers of the bucket change it.
//
// Every answer is taken in through an Observation, which remembers when its request began: for a name that changed here
// since, it says nothing (RULES 7), and a lower generation never replaces a higher one, unless a folder that was renamed
// elsewhere may have brought it: then if it was asked for since. A replacement makes a new node; the old one lives on.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { ROOT_INODE, type InodeId } from "./filesystem.ts";
import { FileSystemError } from "./errors.ts";
import { Departure, topOf } from "./departure.ts";
import { decodeAttributes, type OwnerAndMode } from "./metadata.ts";
import { DirectoryNode, FileNode, SpecialNode, isDirectory, isFile, type Node } from "./nodes.ts";
import { NodeTable } from "./node-table.ts";
import { EVERY_NAME } from "./doubts.ts";
import { isKept, isNews, Observations, type Observation } from "./observations.ts";
import { takeAttributes } from "./take-attributes.ts";
import type { TreeOptions } from "./tree-options.ts";
import { confirmation } from "./trust.ts";

export class Tree {
  readonly root: DirectoryNode;
  readonly #options: TreeOptions;
  readonly #nodes: NodeTable;
  readonly #observations: Observations;

  constructor(options: TreeOptions) {
    this.#options = options;
    this.#observations = new Observations(options);
    this.root = new DirectoryNode(ROOT_INODE, undefined, "");
    Object.assign(this.root, options.directoryDefaults, { lookupCount: 1 });
    this.#stampNow(this.root);
    this.#nodes = new NodeTable(this.root, options.journal, (node) => this.detach(node));
  }

  get(inode: InodeId): Node {
    return this.#nodes.get(inode);
  }

  /** As `get`; undefined if it is not known. */
  find(inode: InodeId): Node | undefined {
    return this.#nodes.find(inode);
  }

  directory(inode: InodeId): DirectoryNode {
    return this.#nodes.directory(inode);
  }

  file(inode: InodeId): FileNode {
    return this.#nodes.file(inode);
  }

  isBuried(object: ObjectInfo): boolean {
    return this.#options.isBuried(object);
  }

  /** Whether the node still has a name that leads to it from the root. */
  isAttached(node: Node): boolean {
    return topOf(node) === this.root;
  }

  /** Name of the object behind a node; a folder's ends in "/", the root's is the prefix. */
  objectName(node: Node): string {
    if (node === this.root) return this.#options.prefix;
    if (node.parent === undefined) throw new FileSystemError("ESTALE", "the file has no name any more");
    return this.objectName(node.parent) + node.name + (isDirectory(node) ? "/" : "");
  }

  /** Marks a local change of a name from its start to its end. Call the result when the change is over. */
  beginChange(directory: DirectoryNode, name: string): () => void {
    return this.#observations.beginChange(directory, name);
  }

  /** Somebody says that a name, or which names there are (EVERY_NAME), changed elsewhere: what was asked before is not trusted. */
  doubt(directory: DirectoryNode, name: string): void {
    this.#observations.doubt(directory, name);
  }

  /** A folder gained or lost a name: its times move, as on any disk. */
  touch(directory: DirectoryNode): void {
    const now = this.#options.wallNs();
    Object.assign(directory, { modifyTimeNs: now, changeTimeNs: now });
    this.#options.journal.note(directory);
  }

  /** Notes that a question is about to be asked; end it when the answer was taken in. */
  beginObservation(): Observation {
    return this.#observations.begin();
  }

  endObservation(observation: Observation): void {
    this.#observations.end(observation);
  }

  /** Asks the bucket by `request` and hands its answer to `take`. */
  async observe<T>(
    request: () => Promise<T>,
    take: (answer: T, observation: Observation) => void,
  ): Promise<T> {
    const observation = this.beginObservation();
    try {
      const answer = await request();
      take(answer, observation);
      return answer;
    } finally {
      this.endObservation(observation);
    }
  }

  /** The bucket holds `object` under this name. */
  observeObject(
    directory: DirectoryNode,
    name: string,
    object: ObjectInfo,
    dateMs: number,
    observation: Observation,
  ): void {
    if (this.isBuried(object)) return this.observeAbsence(directory, name, observation);
    if (!this.#observations.mayTell(directory, name, observation)) return;
    const known = directory.children.get(name);
    if (isDirectory(known)) return; // `a` beside `a/`: the folder has the name
    if (known !== undefined && isKept(known, object)) return;
    if (known !== undefined && this.#observations.isLate(known, object, observation)) return;
    const node =
      known?.version?.generation === object.generation
        ? known
        : this.#replace(directory, name, known, object);
    this.#refreshAttributes(node, object);
    this.#observations.seen(node);
    node.confirmed = this.#observations.confirmation(directory, name, object.updatedMs, dateMs, observation);
  }

  /** The bucket still has the version of a file that is being changed here; nothing else of it is news. */
  observeUnchanged(node: FileNode, object: ObjectInfo, dateMs: number, observation: Observation): void {
    const { parent, name, version } = node;
    if (parent === undefined || version?.generation !== object.generation) return;
    if (!this.#observations.mayTell(parent, name, observation)) return;
    node.confirmed = this.#observations.confirmation(parent, name, object.updatedMs, dateMs, observation);
  }

  /** There is a folder of this name; `oldestMs`: since when at least something has been in it. */
  observeDirectory(
    directory: DirectoryNode,
    name: string,
    oldestMs: number,
    dateMs: number,
    observation: Observation,
  ): DirectoryNode | undefined {
    const known = directory.children.get(name);
    if (!this.#observations.mayTell(directory, name, observation))
      return isDirectory(known) ? known : undefined;
    if (known !== undefined && !isDirectory(known)) {
      if (isKept(known)) return undefined;
      this.#detachForeign(directory, known);
    }
    const folder = isDirectory(known) ? known : this.addDirectory(directory, name);
    if (folder !== known) this.#options.attributesChanged(directory); // it has another number of links
    folder.confirmed = this.#observations.confirmation(directory, name, oldestMs, dateMs, observation);
    return folder;
  }

  observePlaceholder(
    directory: DirectoryNode,
    object: ObjectInfo | undefined,
    observation: Observation,
  ): void {
    if (!this.#observations.mayTell(directory, "", observation) || directory.patchOwed) return;
    if (object === undefined) directory.placeholder = "absent";
    else if (!this.#observations.isLate(directory, object, observation)) {
      this.#refreshAttributes(directory, object);
      this.#observations.seen(directory);
    }
  }

  /** The bucket has nothing of this name. */
  observeAbsence(directory: DirectoryNode, name: string, observation: Observation): void {
    const known = directory.children.get(name);
    if (known === undefined || !this.#observations.mayTell(directory, name, observation) || isKept(known))
      return;
    this.#detachForeign(directory, known);
  }

  /** A complete listing of the folder: names it did not show are gone. `newestMs`: its latest change. */
  observeComplete(
    directory: DirectoryNode,
    seen: ReadonlySet<string>,
    newestMs: number,
    dateMs: number,
    observation: Observation,
  ): void {
    if (!this.#observations.mayTellOf(directory, observation)) return;
    for (const name of directory.children.keys())
      if (!seen.has(name)) this.observeAbsence(directory, name, observation);
    if (directory.listed === undefined) this.#options.attributesChanged(directory); // its links are known from now on
    directory.listed = this.#observations.confirmation(directory, EVERY_NAME, newestMs, dateMs, observation);
  }

  /** A file created here, not yet in the bucket. */
  addFile(parent: DirectoryNode, name: string, owner: OwnerAndMode): FileNode {
    return this.#add(owner, new FileNode(this.#nodes.newInode(), parent, name));
  }

  addDirectory(
    parent: DirectoryNode,
    name: string,
    owner: OwnerAndMode = this.#options.directoryDefaults,
  ): DirectoryNode {
    return this.#add(owner, new DirectoryNode(this.#nodes.newInode(), parent, name));
  }

  /** An object written here, of whatever kind its metadata says. */
  addObject(parent: DirectoryNode, name: string, object: ObjectInfo): FileNode | SpecialNode {
    const { kind } = decodeAttributes(object, this.#options.fileDefaults);
    const node =
      kind === "file" || kind === "directory"
        ? new FileNode(this.#nodes.newInode(), parent, name)
        : new SpecialNode(this.#nodes.newInode(), parent, name, kind, object);
    this.#add(this.#options.fileDefaults, node);
    this.#refreshAttributes(node, object);
    return node;
  }

  /** Takes a node's name away; it lives on for those who use it. */
  detach(node: Node): void {
    const { parent } = node;
    if (parent === undefined) return;
    if (parent.children.get(node.name) === node) parent.children.delete(node.name);
    node.parent = undefined;
    node.changeTimeNs = this.#options.wallNs();
    this.#options.journal.note(node);
    this.#options.placeChanged(parent, node.name, node);
    this.#nodes.dropIfUnused(node);
  }

  /** Gives a node another place; whatever a listing has put there meanwhile loses its name. */
  move(node: Node, parent: DirectoryNode, name: string): void {
    const there = parent.children.get(name);
    if (there !== undefined && there !== node) this.#detachForeign(parent, there);
    const before = { parent: node.parent, name: node.name };
    if (before.parent?.children.get(before.name) === node) before.parent.children.delete(before.name);
    node.parent = parent;
    node.name = name;
    node.changeTimeNs = this.#options.wallNs();
    parent.children.set(name, node);
    this.#options.journal.note(node);
    if (before.parent !== undefined) this.#options.placeChanged(before.parent, before.name, node);
    this.#options.placeChanged(parent, name, node);
  }

  /** Two nodes take each other's place. */
  exchange(one: Node, other: Node): void {
    const places = [
      { node: one, parent: other.parent, name: other.name },
      { node: other, parent: one.parent, name: one.name },
    ];
    for (const { node, parent, name } of places) {
      if (parent === undefined) continue;
      node.parent = parent;
      node.name = name;
      node.changeTimeNs = this.#options.wallNs();
      parent.children.set(name, node);
      this.#options.journal.note(node);
      this.touch(parent);
      this.#options.placeChanged(parent, name, node);
    }
  }

  /** Everything below the folder has another name in the bucket from now on. */
  movedBelow(directory: DirectoryNode): void {
    this.#observations.moved(directory);
  }

  /** What was made or renamed here, or confirmed just now: a folder that was made at `createdMs`. */
  confirmFolder(directory: DirectoryNode, createdMs: number, dateMs: number): void {
    directory.createdMs = createdMs;
    directory.confirmed = confirmation(this.#options.trust, createdMs, dateMs, this.#options.monotonicMs());
  }

  /** What an upload or a move made of a node: the name now stands for this version, confirmed just now. */
  confirmOwn(node: Node, object: ObjectInfo, dateMs: number): void {
    if (!isDirectory(node)) node.version = object;
    this.#options.journal.note(node);
    node.confirmed = confirmation(this.#options.trust, object.updatedMs, dateMs, this.#options.monotonicMs());
  }

  /** Forgets what is more than should be remembered and nobody uses. */
  trim(): void {
    this.#nodes.trim();
  }

  /** A node of an earlier worker, with the place it had. */
  restore(node: Node, parent: DirectoryNode | undefined): void {
    node.parent = parent;
    parent?.children.set(node.name, node);
    this.#nodes.restore(node);
  }

  /** Gives back kernel references. */
  forget(inode: InodeId, count: number): void {
    this.#nodes.forget(inode, count);
  }

  /** Drops a node without a name that nobody holds. */
  released(node: Node): void {
    this.#nodes.dropIfUnused(node);
  }

  #replace(
    directory: DirectoryNode,
    name: string,
    known: Node | undefined,
    object: ObjectInfo,
  ): FileNode | SpecialNode {
    if (known !== undefined) this.#detachForeign(directory, known);
    return this.addObject(directory, name, object);
  }

  #detachForeign(directory: DirectoryNode, node: Node): void {
    const { name, lookupCount } = node;
    this.detach(node);
    this.touch(directory);
    if (isDirectory(node)) this.#options.attributesChanged(directory);
    if (isFile(node)) {
      node.supplanted = true;
      this.#options.replaced(node, directory);
    }
    const telling = lookupCount > 0 ? this.#options.entryChanged(directory, name) : Promise.resolve();
    if (isDirectory(node)) node.departure = new Departure(telling);
  }

  #refreshAttributes(node: Node, object: ObjectInfo): void {
    if (!isNews(object, node)) return;
    const defaults = isDirectory(node) ? this.#options.directoryDefaults : this.#options.fileDefaults;
    const changed = takeAttributes(node, object, defaults);
    this.#options.journal.note(node);
    if (changed) this.#options.attributesChanged(node);
  }

  #add<T extends Node>({ uid, gid, mode }: OwnerAndMode, node: T): T {
    Object.assign(node, { uid, gid, mode });
    this.#stampNow(node);
    node.parent?.children.set(node.name, node);
    this.#nodes.add(node);
    return node;
  }

  #stampNow(node: Node): void {
    const now = this.#options.wallNs();
    Object.assign(node, { modifyTimeNs: now, accessTimeNs: now, changeTimeNs: now });
  }
}
