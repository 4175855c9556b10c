// The operations on names. A request that comes again after a worker's death is carried to its end here, not done twice:
// what it was to remove is gone already, or has its new name already (RULES 18).

import type { Context } from "./context.ts";
import { entryReply } from "./attributes-of.ts";
import { FileSystemError } from "./errors.ts";
import type { Caller, Entry, FileSystem, InodeId, RenameFlag } from "./filesystem.ts";
import { isDirectory, isFile, type DirectoryNode, type Node } from "./nodes.ts";
import { ownerOfNew } from "./ownership.ts";
import { RarerOperations, type NewlyMade } from "./rarer-operations.ts";
import type { Place } from "./rename.ts";

type OfNames = "symlink" | "link" | "makeDirectory" | "unlink" | "removeDirectory" | "rename";

export abstract class NameOperations extends RarerOperations implements Pick<FileSystem, OfNames> {
  protected abstract readonly context: Context;

  async symlink(caller: Caller, parent: InodeId, name: string, target: string): Promise<Entry> {
    const link = { kind: "symlink", mode: 0o777, umask: 0, linkTarget: target } as const;
    return this.makeObject(caller, parent, name, link);
  }

  async link(): Promise<Entry> {
    throw new FileSystemError("EPERM", "hard links are not offered: one file is one object");
  }

  async makeDirectory(
    caller: Caller,
    parent: InodeId,
    name: string,
    mode: number,
    umask: number,
  ): Promise<Entry> {
    this.parts.openFiles.refuseIfReadOnly();
    const directory = this.context.tree.directory(parent);
    const owner = ownerOfNew(directory, caller, { mode, umask, folder: true });
    const id = this.context.operationIdOf(caller);
    try {
      return this.entry(await this.parts.namespace.makeDirectory(directory, name, owner, id));
    } catch (error) {
      const node = await this.#madeBefore(caller, directory, name, error);
      if (!isDirectory(node)) throw error;
      return this.entry(node);
    }
  }

  async unlink(caller: Caller, parent: InodeId, name: string): Promise<void> {
    this.parts.openFiles.refuseIfReadOnly();
    const directory = this.context.tree.directory(parent);
    const node = await this.#leaving(caller, directory, name);
    if (node === undefined) return;
    if (isDirectory(node)) throw new FileSystemError("EISDIR", `${name} is a folder`);
    await this.parts.namespace.unlink(directory, node);
    if (isFile(node)) this.parts.resting.soon(node);
    await this.told();
  }

  async removeDirectory(caller: Caller, parent: InodeId, name: string): Promise<void> {
    this.parts.openFiles.refuseIfReadOnly();
    const directory = this.context.tree.directory(parent);
    const node = await this.#leaving(caller, directory, name);
    if (node === undefined) return;
    if (!isDirectory(node)) throw new FileSystemError("ENOTDIR", `${name} is not a folder`);
    await this.parts.namespace.removeDirectory(directory, node);
    await this.told();
  }

  async rename(
    caller: Caller,
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flag: RenameFlag,
  ): Promise<void> {
    this.parts.openFiles.refuseIfReadOnly();
    const from = this.context.tree.directory(parent);
    const to = { parent: this.context.tree.directory(newParent), name: newName };
    const again = caller.begun !== undefined;
    if (again && isRenamed(from, name, to)) return;
    const node = from.children.get(name) ?? (await this.parts.lookup.require(from, name, caller.interrupted));
    if (flag === "exchange") await this.parts.exchanger.exchange(node, to, caller);
    else if (isDirectory(node)) await this.parts.folders.rename(node, to, flag, again);
    else await this.parts.files.rename(node, to, flag, again);
    await this.told();
  }

  protected override async makeObject(
    caller: Caller,
    parent: InodeId,
    name: string,
    { mode, umask, ...rest }: NewlyMade,
  ): Promise<Entry> {
    this.parts.openFiles.refuseIfReadOnly();
    const directory = this.context.tree.directory(parent);
    const attributes = { ...ownerOfNew(directory, caller, { mode, umask }), ...rest };
    try {
      return this.entry(await this.parts.namespace.makeObject(directory, name, attributes, caller));
    } catch (error) {
      const node = await this.#madeBefore(caller, directory, name, error);
      if (node === undefined || isDirectory(node)) throw error;
      return this.entry(node);
    }
  }

  protected override nodeOf(inode: InodeId): Node {
    return this.context.tree.get(inode);
  }

  /** An answer that gives the kernel one more reference to the node. */
  protected entry(node: Node): Entry {
    this.context.journal.note(node);
    return entryReply(node, this.context);
  }

  /** Whoever reads through the serve mount knows of it before the program that changed something is answered. */
  protected told(): Promise<void> {
    return this.context.witness().told();
  }

  /** What an earlier worker has made for this request, if that is what was in its way: somebody has seen it since. */
  async #madeBefore(
    caller: Caller,
    directory: DirectoryNode,
    name: string,
    error: unknown,
  ): Promise<Node | undefined> {
    const exists = error instanceof FileSystemError && error.code === "EEXIST";
    if (!exists || caller.begun === undefined) return undefined;
    const node = await this.parts.lookup.find(directory, name);
    return node !== undefined && this.parts.namespace.isMadeBy(node, caller) ? node : undefined;
  }

  /** What is to be removed; undefined if an earlier worker has removed it for this request. */
  async #leaving(caller: Caller, directory: DirectoryNode, name: string): Promise<Node | undefined> {
    const known = directory.children.get(name);
    if (known !== undefined) return known;
    try {
      return await this.parts.lookup.require(directory, name, caller.interrupted);
    } catch (error) {
      const gone = error instanceof FileSystemError && error.code === "ENOENT";
      if (gone && caller.begun !== undefined) return undefined;
      throw error;
    }
  }
}

/** Whether the tree of an earlier worker had the new name already: the kernel knows nothing else there. */
function isRenamed(from: DirectoryNode, name: string, to: Place): boolean {
  const there = to.parent.children.get(to.name);
  return !from.children.has(name) && there !== undefined && there.lookupCount > 0;
}
