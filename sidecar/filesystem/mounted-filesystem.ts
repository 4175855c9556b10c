// The mounted tree: every operation of the seam, in terms of the parts that know how.

import { setTimeout as delay } from "node:timers/promises";
import { attributesReply, entryReply, STATISTICS } from "./attributes-of.ts";
import { Contested } from "./contested.ts";
import type { Context, FileSystemOptions } from "./context.ts";
import { OpenDirectories } from "./directories.ts";
import { FileSystemError } from "./errors.ts";
import { Explorer } from "./explore.ts";
import { FileCreator, isAboutToBeWritten } from "./create.ts";
import { FileData } from "./file-data.ts";
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
import { Lookup } from "./lookup.ts";
import { kindOfMode, type OwnerAndMode } from "./metadata.ts";
import { Namespace } from "./namespace.ts";
import { isDirectory, isFile } from "./nodes.ts";
import { OpenFiles } from "./open-files.ts";
import { Patcher } from "./patch.ts";
import { FileRenamer } from "./rename.ts";
import { FolderRenamer } from "./rename-folder.ts";
import { Saver } from "./save.ts";
import { AttributeSetter } from "./set-attributes.ts";
import { Tree } from "./tree.ts";

/** How often a drain looks whether the last writer has closed. */
const DRAIN_LOOK_MS = 20;
export class MountedFileSystem implements FileSystem {
  readonly #context: Context;
  readonly #tree: Tree;
  readonly #lookup: Lookup;
  readonly #namespace: Namespace;
  readonly #openFiles: OpenFiles;
  readonly #directories: OpenDirectories;
  readonly #data: FileData;
  readonly #creator: FileCreator;
  readonly #contested: Contested;
  readonly #saver: Saver;
  readonly #patcher: Patcher;
  readonly #attributes: AttributeSetter;
  readonly #files: FileRenamer;
  readonly #folders: FolderRenamer;
  #kernel: Kernel | undefined;
  #stopping = false;
  #operations = 0;

  constructor(options: FileSystemOptions) {
    this.#tree = this.#makeTree(options);
    const context: Context = {
      ...options,
      tree: this.#tree,
      nextOperationId: () => `${options.mountId}:${++this.#operations}`,
      kernel: () => this.#attached(),
      stopping: () => this.#stopping,
    };
    this.#context = context;
    const explorer = new Explorer(context);
    this.#lookup = new Lookup(context, explorer);
    this.#patcher = new Patcher(context);
    this.#saver = new Saver(context, this.#patcher);
    this.#openFiles = new OpenFiles(context, this.#saver);
    this.#contested = new Contested(context, this.#lookup, this.#openFiles);
    this.#namespace = new Namespace(context, this.#patcher);
    this.#directories = new OpenDirectories(context, this.#lookup);
    this.#data = new FileData(context);
    this.#creator = new FileCreator(context, { namespace: this.#namespace, openFiles: this.#openFiles });
    const parts = {
      explorer,
      namespace: this.#namespace,
      openFiles: this.#openFiles,
      saver: this.#saver,
      patcher: this.#patcher,
    };
    this.#attributes = new AttributeSetter(context, parts);
    this.#files = new FileRenamer(context, parts);
    this.#folders = new FolderRenamer(context, parts);
  }

  attach(kernel: Kernel): void {
    this.#kernel = kernel;
  }

  /** Makes good what an earlier run had acknowledged: renames it began, attributes it owed. */
  async resumeOwed(): Promise<void> {
    const { owed } = this.#context;
    await this.#folders.resume(await owed.renames());
    await this.#namespace.resume(await owed.removals());
    await this.#patcher.resume(await owed.patches());
  }

  async lookup(caller: Caller, parent: InodeId, name: string): Promise<Entry> {
    const directory = this.#tree.directory(parent);
    const node = await this.#lookup.require(directory, name, caller.interrupted);
    return entryReply(await this.#contested.settle(directory, node), this.#now());
  }

  forget(inode: InodeId, count: number): void {
    this.#tree.forget(inode, count);
  }

  async getAttributes(_caller: Caller, inode: InodeId): Promise<seam.AttributesReply> {
    return attributesReply(this.#tree.get(inode), this.#now());
  }

  async setAttributes(
    _caller: Caller,
    inode: InodeId,
    changes: SetAttributes,
  ): Promise<seam.AttributesReply> {
    const node = this.#tree.get(inode);
    await this.#attributes.set(node, changes);
    return attributesReply(node, this.#now());
  }

  async readLink(_caller: Caller, inode: InodeId): Promise<string> {
    const node = this.#tree.get(inode);
    if (isFile(node) || isDirectory(node) || node.linkTarget === undefined)
      throw new FileSystemError("EINVAL", "not a symbolic link");
    return node.linkTarget;
  }

  async symlink(caller: Caller, parent: InodeId, name: string, target: string): Promise<Entry> {
    const { uid, gid } = caller;
    return this.#makeObject(parent, name, { kind: "symlink", uid, gid, mode: 0o777, linkTarget: target });
  }

  async link(): Promise<Entry> {
    throw new FileSystemError("EPERM", "hard links are not offered: one file is one object");
  }

  async makeNode(caller: Caller, parent: InodeId, name: string, mode: number, umask: number): Promise<Entry> {
    const kind = kindOfMode(mode) ?? "file";
    return this.#makeObject(parent, name, { ...ownerOf(caller, mode, umask), kind });
  }

  async makeDirectory(
    caller: Caller,
    parent: InodeId,
    name: string,
    mode: number,
    umask: number,
  ): Promise<Entry> {
    this.#openFiles.refuseIfReadOnly();
    const made = await this.#namespace.makeDirectory(
      this.#tree.directory(parent),
      name,
      ownerOf(caller, mode, umask),
    );
    return entryReply(made, this.#now());
  }

  async unlink(caller: Caller, parent: InodeId, name: string): Promise<void> {
    this.#openFiles.refuseIfReadOnly();
    const directory = this.#tree.directory(parent);
    const node =
      directory.children.get(name) ?? (await this.#lookup.require(directory, name, caller.interrupted));
    if (isDirectory(node)) throw new FileSystemError("EISDIR", `${name} is a folder`);
    await this.#namespace.unlink(directory, node);
    if (isFile(node)) this.#openFiles.restSoon(node);
  }

  async removeDirectory(caller: Caller, parent: InodeId, name: string): Promise<void> {
    this.#openFiles.refuseIfReadOnly();
    const directory = this.#tree.directory(parent);
    const node =
      directory.children.get(name) ?? (await this.#lookup.require(directory, name, caller.interrupted));
    if (!isDirectory(node)) throw new FileSystemError("ENOTDIR", `${name} is not a folder`);
    await this.#namespace.removeDirectory(directory, node);
  }

  async rename(
    caller: Caller,
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flag: seam.RenameFlag,
  ): Promise<void> {
    this.#openFiles.refuseIfReadOnly();
    if (flag === "exchange") throw new FileSystemError("EINVAL", "exchanging two names is not offered");
    const from = this.#tree.directory(parent);
    const to = { parent: this.#tree.directory(newParent), name: newName };
    const node = from.children.get(name) ?? (await this.#lookup.require(from, name, caller.interrupted));
    if (isDirectory(node)) await this.#folders.rename(node, to, flag);
    else await this.#files.rename(node, to, flag);
  }

  async open(caller: Caller, inode: InodeId, flags: number): Promise<OpenedFile> {
    const node = this.#tree.file(inode);
    return this.#contested.watch(node, async () => {
      await this.#lookup.confirmForOpen(node, caller.interrupted);
      return this.#openFiles.open(node, flags);
    });
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
    const { node, opened } = await this.#creator.create(directory, name, ownerOf(caller, mode, umask), flags);
    return { entry: entryReply(node, this.#now()), opened };
  }

  async read(
    _caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    length: number,
  ): Promise<Buffer> {
    return this.#data.read(this.#openFiles.get(handle), offset, length);
  }

  async write(
    _caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    data: Buffer,
  ): Promise<number> {
    return this.#data.write(this.#openFiles.get(handle), offset, data);
  }

  async flush(caller: Caller, inode: InodeId, handle: HandleId): Promise<void> {
    const { node } = this.#openFiles.get(handle);
    if (await isAboutToBeWritten(node, caller.pid)) return;
    await this.fsync(caller, inode, handle);
  }

  async fsync(_caller: Caller, _inode: InodeId, handle: HandleId): Promise<void> {
    const { node, writable } = this.#openFiles.get(handle);
    if (writable || node.patchOwed) await this.#saver.save(node);
  }

  async release(_inode: InodeId, handle: HandleId): Promise<void> {
    const { node } = this.#openFiles.get(handle);
    await this.#openFiles.release(handle);
    this.#tree.released(node);
  }

  async openDirectory(_caller: Caller, inode: InodeId): Promise<HandleId> {
    return this.#directories.open(this.#tree.directory(inode));
  }

  async readDirectory(
    caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    withAttributes: boolean,
    accept: (entry: DirectoryEntry) => boolean,
  ): Promise<void> {
    await this.#directories.read(handle, offset, withAttributes, accept, caller.interrupted);
  }

  async fsyncDirectory(_caller: Caller, inode: InodeId): Promise<void> {
    const directory = this.#tree.directory(inode);
    if (directory.patchOwed) await this.#patcher.flush(directory);
  }

  async releaseDirectory(_inode: InodeId, handle: HandleId): Promise<void> {
    this.#directories.release(handle);
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
    await Promise.race([this.#patcher.flushAll(), delay(timeoutMs)]);
    while (this.#openFiles.unsaved() > 0 && this.#now() < endMs) await delay(DRAIN_LOOK_MS);
    return this.#openFiles.unsaved() + this.#patcher.owed();
  }

  async shutdown(): Promise<void> {
    this.#stopping = true;
    this.#namespace.close();
    await this.#patcher.flushAll();
    await this.#openFiles.restAll();
    await this.#context.background.idle();
  }

  #makeTree(options: FileSystemOptions): Tree {
    return new Tree({
      ...options,
      entryChanged: (parent, name) => void this.#kernel?.entryChanged(parent.id, name),
      attributesChanged: (node) => void this.#kernel?.attributesChanged(node.id),
      replaced: (node) => this.#openFiles.restSoon(node),
    });
  }

  async #makeObject(
    parent: InodeId,
    name: string,
    attributes: OwnerAndMode & { kind: seam.FileKind; linkTarget?: string },
  ): Promise<Entry> {
    this.#openFiles.refuseIfReadOnly();
    const node = await this.#namespace.makeObject(this.#tree.directory(parent), name, attributes);
    return entryReply(node, this.#now());
  }

  #attached(): Kernel {
    if (this.#kernel === undefined) throw new Error("the filesystem was used before a channel was attached");
    return this.#kernel;
  }

  #now(): number {
    return this.#context.monotonicMs();
  }
}

function ownerOf({ uid, gid }: Caller, mode: number, umask: number): OwnerAndMode {
  return { uid, gid, mode: mode & 0o7777 & ~umask };
}
