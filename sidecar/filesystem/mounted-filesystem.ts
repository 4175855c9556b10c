// The mounted tree: every operation of the seam, in terms of the parts that know how.

import { constants } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { attributesReply, STATISTICS } from "./attributes-of.ts";
import type { Context, FileSystemOptions } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import { isAboutToBeWritten } from "./create.ts";
import type * as seam from "./filesystem.ts";
import type {
  Caller,
  DirectoryEntry,
  Entry,
  FileSystem,
  HandleId,
  InodeId,
  Kernel,
  OpenedFile,
  SetAttributes,
} from "./filesystem.ts";
import type { HandoverDatabase } from "../handover/database.ts";
import { restoreTree, type Restored } from "./handover/restore.ts";
import { restoreDirectories, resumeOwed } from "./handover/resume.ts";
import { isDirectory, isFile, isYetToBeMade, type FileNode } from "./nodes.ts";
import { ownerOfNew, withoutPrivileges } from "./ownership.ts";
import { makeParts, type Parts } from "./parts.ts";
import { NameOperations } from "./name-operations.ts";
import { ServeMount } from "./serve/serve-mount.ts";
import { nobody } from "./serve/witness.ts";
import { Tree } from "./tree.ts";
import { Upkeep } from "./upkeep.ts";

/** How often a drain looks whether the last writer has closed. */
const DRAIN_LOOK_MS = 20;

export class MountedFileSystem extends NameOperations implements FileSystem {
  protected override readonly context: Context;
  readonly #tree: Tree;
  readonly #parts: Parts;
  readonly upkeep: Upkeep;
  #kernel: Kernel | undefined;
  #serveMount: ServeMount | undefined;
  #stopping = false;
  #operations: number;
  #earlier: HandoverDatabase | undefined;
  #restored: Restored | undefined;

  constructor(options: FileSystemOptions) {
    super();
    const { journal, mountId } = options;
    this.#operations = journal.firstOf("operation", 1);
    this.#tree = this.#makeTree(options);
    const context: Context = {
      ...options,
      tree: this.#tree,
      nextOperationId: () => {
        journal.reserve("operation", this.#operations);
        return `${mountId}:${this.#operations++}`;
      },
      operationIdOf: ({ request }) =>
        request === undefined ? context.nextOperationId() : `${mountId}:request-${request}`,
      kernel: () => this.#attached(),
      witness: () => this.#serveMount ?? nobody,
      owing: () => this.#parts.writeBack,
      stopping: () => this.#stopping,
    };
    this.context = context;
    this.#parts = makeParts(context);
    this.upkeep = new Upkeep(context, this.#parts);
  }

  protected override get parts(): Parts {
    return this.#parts;
  }

  attach(kernel: Kernel): void {
    this.#kernel = kernel;
  }

  /** A second tree of the same bucket, for readers only. Call before the first operation. */
  serve(): FileSystem {
    if (this.#serveMount === undefined) {
      this.#serveMount = new ServeMount(this.context, this.#parts);
      if (this.#earlier !== undefined) this.#serveMount.goOn(this.#earlier);
    }
    return this.#serveMount.fileSystem;
  }

  /** Takes over from an earlier worker of the same mount. Before the first operation; answers what it had open. */
  takeOver(database: HandoverDatabase): Restored {
    const restored = restoreTree(this.context, database);
    for (const handle of restored.handles) this.#parts.openFiles.restore(handle);
    restoreDirectories(database, "app", this.#parts.directories, (inode) => this.#tree.find(inode));
    this.#restored = restored;
    this.#earlier = database;
    return restored;
  }

  /** Makes good what an earlier run had acknowledged: renames it began, attributes it owed. */
  async resumeOwed(): Promise<void> {
    await resumeOwed(this.context, this.#parts, this.#restored);
  }

  async lookup(caller: Caller, parent: InodeId, name: string): Promise<Entry> {
    const directory = this.#tree.directory(parent);
    const node = await this.#parts.lookup.require(directory, name, caller.interrupted);
    return this.entry(await this.#parts.contested.settle(directory, node));
  }

  forget(inode: InodeId, count: number): void {
    this.#tree.forget(inode, count);
  }

  async getAttributes(_caller: Caller, inode: InodeId): Promise<seam.AttributesReply> {
    return attributesReply(this.#tree.get(inode), this.context);
  }

  async setAttributes(
    _caller: Caller,
    inode: InodeId,
    changes: SetAttributes,
  ): Promise<seam.AttributesReply> {
    const node = this.#tree.get(inode);
    await this.#parts.attributes.set(node, changes);
    this.context.journal.note(node);
    await this.told();
    return attributesReply(node, this.context);
  }

  async readLink(_caller: Caller, inode: InodeId): Promise<string> {
    const node = this.#tree.get(inode);
    if (isFile(node) || isDirectory(node) || node.linkTarget === undefined)
      throw new FileSystemError("EINVAL", "not a symbolic link");
    return node.linkTarget;
  }

  async open(caller: Caller, inode: InodeId, flags: number): Promise<OpenedFile> {
    const node = this.#tree.file(inode);
    return this.#parts.contested.watch(node, async () => {
      await this.#parts.lookup.confirmForOpen(node, caller.interrupted);
      const opened = await this.#parts.openFiles.open(node, flags);
      this.#parts.openFiles.get(opened.handle).opener = caller.pid;
      if ((flags & constants.O_TRUNC) !== 0 && caller.uid !== 0) await this.#dropPrivileges(node);
      return opened;
    });
  }

  async #dropPrivileges(node: FileNode): Promise<void> {
    const mode = withoutPrivileges(node.mode);
    if (mode === node.mode) return;
    node.mode = mode;
    await this.#parts.attributes.persist(node);
    await this.context.kernel().attributesChanged(node.id); // the program may look at once
  }

  async create(
    caller: Caller,
    parent: InodeId,
    name: string,
    mode: number,
    umask: number,
    flags: number,
  ): Promise<{ entry: Entry; opened: OpenedFile }> {
    const directory = this.#tree.directory(parent);
    const owner = ownerOfNew(directory, caller, { mode, umask });
    const { node, opened } = await this.#parts.creator.create(directory, name, { owner, flags }, caller);
    this.#parts.openFiles.get(opened.handle).opener = caller.pid;
    return { entry: this.entry(node), opened };
  }

  async read(
    _caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    length: number,
  ): Promise<Buffer> {
    return this.#parts.data.read(this.#parts.openFiles.get(handle), offset, length);
  }

  async write(
    caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    data: Buffer,
    fromMapping = false,
  ): Promise<number> {
    return this.#parts.data.write(caller, this.#parts.openFiles.get(handle), { offset, data, fromMapping });
  }

  async flush(caller: Caller, _inode: InodeId, handle: HandleId): Promise<void> {
    const file = this.#parts.openFiles.get(handle);
    if (await isAboutToBeWritten(file.node, caller.pid)) return;
    if (await this.#parts.inherited.leavesToOpener(file, caller.pid)) return;
    await this.#store(handle, false);
  }

  async fsync(_caller: Caller, _inode: InodeId, handle: HandleId): Promise<void> {
    await this.#store(handle, true);
  }

  /** What close and fsync promise; after an fsync the program goes on writing. */
  async #store(handle: HandleId, goesOn: boolean): Promise<void> {
    const { node, writable } = this.#parts.openFiles.get(handle);
    if (!writable && !node.patchOwed && !isYetToBeMade(node)) return;
    try {
      await (this.context.owing()?.acknowledge(node, goesOn) ?? this.#parts.saver.save(node));
    } finally {
      this.context.journal.note(node);
      await this.told();
    }
  }

  async release(_inode: InodeId, handle: HandleId): Promise<void> {
    const { node } = this.#parts.openFiles.get(handle);
    await this.#parts.openFiles.release(handle);
    this.#tree.released(node);
  }

  async openDirectory(_caller: Caller, inode: InodeId): Promise<HandleId> {
    return this.#parts.directories.open(this.#tree.directory(inode));
  }

  async readDirectory(
    caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    withAttributes: boolean,
    accept: (entry: DirectoryEntry) => boolean,
  ): Promise<void> {
    await this.#parts.directories.read(handle, offset, withAttributes, accept, caller.interrupted);
  }

  async fsyncDirectory(_caller: Caller, inode: InodeId): Promise<void> {
    const directory = this.#tree.directory(inode);
    await this.context.owing()?.sentBelow(directory);
    if (directory.patchOwed) await this.#parts.patcher.flush(directory);
  }

  async releaseDirectory(_inode: InodeId, handle: HandleId): Promise<void> {
    this.#parts.directories.release(handle);
  }

  async statistics(): Promise<seam.FileSystemStatistics> {
    return STATISTICS;
  }

  refuseWrites(): void {
    this.#stopping = true;
  }

  /** Gives those who are still writing until `timeoutMs` to close, and sends what is owed. Answers how many could not finish. */
  async drain(timeoutMs: number): Promise<number> {
    this.#stopping = true;
    const endMs = this.#now() + timeoutMs;
    await Promise.race([this.#parts.patcher.flushAll(), delay(timeoutMs)]);
    while (this.#parts.openFiles.unsaved() > 0 && this.#now() < endMs) await delay(DRAIN_LOOK_MS);
    const left = (await this.#parts.writeBack?.drain(endMs)) ?? 0;
    return left + this.#parts.openFiles.unsaved() + this.#parts.patcher.owed();
  }

  /** The folder for readers is gone, whoever took it away. */
  endServing(): void {
    this.#serveMount?.close();
    this.#serveMount = undefined;
  }

  async shutdown(): Promise<void> {
    this.#stopping = true;
    this.endServing();
    this.#parts.namespace.close();
    this.#parts.inherited.stop();
    this.#parts.tombstones.stop();
    this.#parts.staleTails.stop();
    this.#parts.lateStores.stop();
    this.#parts.foreignChanges.stop();
    await this.#parts.patcher.flushAll();
    this.#parts.writeBack?.stop();
    await this.#parts.resting.all();
    await this.context.background.idle();
  }

  #makeTree(options: FileSystemOptions): Tree {
    return new Tree({
      ...options,
      isBuried: (object) => this.#parts.tombstones.isBuried(object),
      entryChanged: async (parent, name) => this.#kernel?.entryChanged(parent.id, name),
      attributesChanged: (node) => {
        if (node.lookupCount > 0) void this.#kernel?.attributesChanged(node.id);
        this.#serveMount?.attributesChanged(node);
      },
      placeChanged: (parent, name, node) => {
        this.#serveMount?.nameChanged(parent, name);
        this.#parts.foreignChanges.placeChanged(parent, name, node);
      },
      replaced: (node, from) => {
        this.#parts.resting.soon(node);
        this.#serveMount?.replacedElsewhere(from, node.name);
      },
    });
  }

  #attached(): Kernel {
    if (this.#kernel === undefined) throw new Error("the filesystem was used before a channel was attached");
    return this.#kernel;
  }

  #now(): number {
    return this.context.monotonicMs();
  }
}
