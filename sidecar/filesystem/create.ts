// Creating files: they exist here only until their first close, except for locks.

import { constants } from "node:fs";
import { hasWritableOnFuse } from "../lib/process-files.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Caller, OpenedFile } from "./filesystem.ts";
import type { OwnerAndMode } from "./metadata.ts";
import type { Namespace } from "./namespace.ts";
import { isDirectory, isFile, type DirectoryNode, type FileNode, type Node } from "./nodes.ts";
import type { OpenFiles } from "./open-files.ts";

export class FileCreator {
  readonly #context: Context;
  readonly #namespace: Namespace;
  readonly #openFiles: OpenFiles;

  constructor(context: Context, parts: { namespace: Namespace; openFiles: OpenFiles }) {
    this.#context = context;
    this.#namespace = parts.namespace;
    this.#openFiles = parts.openFiles;
  }

  /**
   * Creates and opens; it opens only where the file is there already (and O_EXCL is not set). A lock that an earlier worker
   * has made for the same request, and that was seen here since, is the caller's (RULES 18).
   */
  async create(
    directory: DirectoryNode,
    name: string,
    { owner, flags }: { owner: OwnerAndMode; flags: number },
    caller: Caller,
  ): Promise<{ node: FileNode; opened: OpenedFile }> {
    this.#openFiles.refuseIfReadOnly();
    const exclusive = (flags & constants.O_EXCL) !== 0;
    const known = directory.children.get(name);
    const own = isFile(known) && this.#namespace.isMadeBy(known, caller);
    if (known !== undefined && exclusive && !own) throw new FileSystemError("EEXIST", `${name} exists`);
    if (known !== undefined && !isFile(known)) {
      throw new FileSystemError(isDirectory(known) ? "EISDIR" : "ENXIO", `${name} is no file`);
    }
    const node = known ?? (await this.#newFile(directory, name, { owner, exclusive }, caller));
    const opened = await this.#openFiles.open(node, flags, known === undefined);
    return { node, opened };
  }

  async #newFile(
    directory: DirectoryNode,
    name: string,
    { owner, exclusive }: { owner: OwnerAndMode; exclusive: boolean },
    caller: Caller,
  ): Promise<FileNode> {
    const { lockNames, tree, store } = this.#context;
    await this.#namespace.checkFree(directory, name);
    if (lockNames.some((pattern) => pattern.test(name))) {
      // In the bucket at once, so that locks exclude across machines.
      const lock = await this.#makeLock(directory, name, { owner, exclusive }, caller);
      if (isFile(lock)) return lock;
    }
    const copy = store.create(tree.objectName(directory) + name); // may fail, for want of space
    const node = tree.addFile(directory, name, owner);
    node.copy = copy;
    node.exclusive = exclusive;
    node.writtenWhole = true;
    node.replaces = directory.postponed.get(name)?.version?.generation;
    tree.touch(directory);
    return node;
  }

  /** Who wants it for itself is told that it was made elsewhere; who only wants it opened looks for it again. */
  async #makeLock(
    directory: DirectoryNode,
    name: string,
    { owner, exclusive }: { owner: OwnerAndMode; exclusive: boolean },
    caller: Caller,
  ): Promise<Node> {
    try {
      return await this.#namespace.makeObject(directory, name, { ...owner, kind: "file" }, caller);
    } catch (error) {
      if (exclusive || !(error instanceof FileSystemError) || error.code !== "EEXIST") throw error;
      throw new FileSystemError("ESTALE", `${name} was made elsewhere`, error);
    }
  }
}

/**
 * A shell opens `> file`, duplicates the descriptor and closes the first one before anything is written. As long
 * as the process has another one that can write, another close comes: an empty version need not be uploaded.
 */
export async function isAboutToBeWritten(node: FileNode, pid: number): Promise<boolean> {
  return node.writtenWhole && node.size === 0 && (await hasWritableOnFuse(pid, node.id));
}
