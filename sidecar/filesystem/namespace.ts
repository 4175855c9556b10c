// Making and removing names: folders, links, special files, unlink.
//
// The kernel holds the folder's lock while these run, so none of them downloads anything (RULES 28).

import type { ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";
import { contentTypeOf } from "./content-type.ts";
import { requireAttached } from "./departure.ts";
import { FileSystemError } from "./errors.ts";
import type { Caller, FileKind } from "./filesystem.ts";
import type { Folders } from "./folders.ts";
import { metadataForInsert, OPERATION_KEY, type OwnerAndMode } from "./metadata.ts";
import { checkNewName } from "./names.ts";
import {
  isDirectory,
  isFile,
  isLocal,
  movesEnded,
  type DirectoryNode,
  type FileNode,
  type Node,
  type ObjectNode,
} from "./nodes.ts";
import { inTurnsOf } from "./owing.ts";
import { removeObject, type ObjectVersion } from "./remove-object.ts";
import { FETCH_WHOLE_BYTES } from "./sizes.ts";
import type { Tombstones } from "./tombstones.ts";

const NO_BYTES = { kind: "bytes", bytes: Buffer.alloc(0), crc32c: 0 } as const;

/** What an object that is complete as it is made is to be. */
export interface NewObject extends OwnerAndMode {
  readonly kind: FileKind;
  readonly linkTarget?: string;
  /** Of device nodes only. */
  readonly deviceNumber?: number;
}

export class Namespace {
  readonly #context: Context;
  readonly #folders: Folders;
  readonly #tombstones: Tombstones;
  /** Readers of what was unlinked are waited for no longer. */
  readonly #closing = Promise.withResolvers<void>();

  constructor(context: Context, folders: Folders, tombstones: Tombstones) {
    this.#context = context;
    this.#folders = folders;
    this.#tombstones = tombstones;
  }

  /** Refuses a name that is taken or that no object can have, and waits for renames above to end. */
  async checkFree(parent: DirectoryNode, name: string): Promise<void> {
    await movesEnded(parent);
    requireAttached(parent);
    checkNewName(name, this.#context.tree.objectName(parent) + name);
    if (parent.children.has(name)) throw new FileSystemError("EEXIST", `${name} exists`);
  }

  async makeDirectory(
    parent: DirectoryNode,
    name: string,
    owner: OwnerAndMode,
    operationId: string,
  ): Promise<DirectoryNode> {
    const { tree } = this.#context;
    await this.checkFree(parent, name);
    checkNewName(name, `${tree.objectName(parent)}${name}/`);
    this.#folders.checkName(`${tree.objectName(parent)}${name}/`);
    const endChange = tree.beginChange(parent, name);
    const directory = tree.addDirectory(parent, name, owner);
    try {
      await this.#folders.make(directory, operationId);
    } catch (error) {
      tree.detach(directory);
      throw error;
    } finally {
      endChange();
    }
    directory.listed = { ...(directory.confirmed ?? { atMs: 0, trustMs: 0, ageMs: 0 }) };
    tree.touch(parent);
    return directory;
  }

  /** A file, link, FIFO, socket or device node that is complete as it is made. */
  async makeObject(
    parent: DirectoryNode,
    name: string,
    attributes: NewObject,
    caller: Caller,
  ): Promise<ObjectNode> {
    const { tree, bucket, fileDefaults, wallNs } = this.#context;
    await this.checkFree(parent, name);
    const operationId = this.#context.operationIdOf(caller);
    const stored = {
      linkTarget: undefined,
      deviceNumber: undefined,
      ...attributes,
      modifyTimeNs: wallNs(),
    };
    const properties = {
      contentType: contentTypeOf(name),
      metadata: metadataForInsert(stored, fileDefaults, undefined),
    };
    const object = tree.objectName(parent) + name;
    const leaving = parent.postponed.get(name);
    if (leaving !== undefined) await this.#removePostponed(parent, leaving, name);
    const endChange = tree.beginChange(parent, name);
    try {
      const insert = () => bucket.insert(object, NO_BYTES, "absent", properties, { operationId });
      const made = await this.#unlessBuried(object, insert);
      const node = tree.addObject(parent, name, made.value);
      tree.confirmOwn(node, made.value, made.dateMs);
      tree.touch(parent);
      // What an earlier worker has sent for this may arrive once the name is free again (RULES 6).
      if (isFile(node) && caller.begun !== undefined) node.becomeUnsure(operationId);
      return node;
    } catch (error) {
      if (isBucketError(error, "precondition-failed"))
        throw new FileSystemError("EEXIST", `${name} was made elsewhere`, error);
      if (isBucketError(error) && error.uncertain) await this.#tombstones.bury(object, [operationId]);
      throw error;
    } finally {
      endChange();
    }
  }

  /**
   * Whether an earlier worker has made it for the same request, which comes again (RULES 18). A folder resource carries no
   * operation id: where its making had begun before, it counts as made by that.
   */
  isMadeBy(node: Node, caller: Caller): boolean {
    if (caller.begun === undefined) return false;
    if (isDirectory(node) && this.#context.hierarchical) return true;
    const version = isDirectory(node) ? node.placeholder : node.version;
    if (version === undefined || version === "absent") return false;
    return version.metadata[OPERATION_KEY] === this.#context.operationIdOf(caller);
  }

  /** Runs `insert` once more if only what a late upload has made was in its way. */
  async #unlessBuried<T>(object: string, insert: () => Promise<T>): Promise<T> {
    try {
      return await insert();
    } catch (error) {
      if (!isBucketError(error, "precondition-failed") || !this.#tombstones.has(object)) throw error;
      const { value: live } = await this.#context.bucket.stat(object);
      if (live !== undefined && !this.#tombstones.isBuried(live)) throw error;
      if (live !== undefined) await this.#tombstones.remove(live);
      return insert();
    }
  }

  async removeDirectory(parent: DirectoryNode, directory: DirectoryNode): Promise<void> {
    await movesEnded(directory);
    const endChange = this.#context.tree.beginChange(parent, directory.name);
    try {
      await this.#removeDirectory(parent, directory);
    } finally {
      endChange();
    }
  }

  async #removeDirectory(parent: DirectoryNode, directory: DirectoryNode): Promise<void> {
    const { tree } = this.#context;
    await Promise.all(
      [...directory.postponed.values()].map((node) => this.#removePostponed(directory, node)),
    );
    if ([...directory.children.values()].some(isLocal))
      throw new FileSystemError("ENOTEMPTY", `${directory.name} has entries`);
    await this.#folders.remove(parent, directory);
    tree.detach(directory);
    tree.touch(parent);
  }

  async unlink(parent: DirectoryNode, node: ObjectNode): Promise<void> {
    const { tree } = this.#context;
    await movesEnded(parent);
    await inTurnsOf([node], this.#context, async () => {
      const { name, version } = node;
      if (node.parent !== parent) throw new FileSystemError("ENOENT", `${name} is gone`);
      await this.keepFolder(parent, node);
      await this.burial([node])();
      if (version !== undefined) {
        if (isFile(node) && this.#hasReadersInNeed(node)) await this.#postpone(parent, node, version);
        else await this.#removeNow(parent, name, version);
      } else if (isFile(node)) await this.#removeWhatIsThere(parent, node);
      if (isFile(node)) await this.#context.owing()?.unlinking(node);
      tree.detach(node);
      if (isFile(node) && node.copy !== undefined) this.#context.store.unlinked(node.copy);
      tree.touch(parent);
    });
  }

  /** Removes what an earlier run had unlinked while it was still being read. */
  async resume(removals: readonly { name: string; generation: bigint }[]): Promise<void> {
    for (const removal of removals) {
      await this.#removeExactly(removal);
      await this.#context.owed.removalDone(removal);
    }
  }

  /** No reader will come back: what was unlinked is removed now. */
  close(): void {
    this.#closing.resolve();
  }

  /** A folder must not vanish when we take the last name in it away. */
  keepFolder(parent: DirectoryNode, leaving: Node): Promise<void> {
    return this.#folders.keep(parent, leaving);
  }

  async #removeNow(parent: DirectoryNode, name: string, version: ObjectVersion): Promise<void> {
    const endChange = this.#context.tree.beginChange(parent, name);
    try {
      await removeObject(this.#context, version);
    } finally {
      endChange();
    }
  }

  #hasReadersInNeed(node: FileNode): boolean {
    return node.opened.size > 0 && node.copy !== undefined && !node.copy.whole && node.fetcher !== undefined;
  }

  /** The name is hidden at once; the object goes when readers have it all, at the latest when they have closed. */
  async #postpone(parent: DirectoryNode, node: FileNode, version: ObjectInfo): Promise<void> {
    const { name } = node;
    await this.#context.owed.oweRemoval(version);
    this.awaitReaders(parent, node, name);
  }

  /** Deletes the object of what was unlinked once its readers have what they need, or have closed. */
  awaitReaders(parent: DirectoryNode, node: FileNode, name: string): void {
    const { version, fetcher } = node;
    if (version === undefined) return;
    parent.postponed.set(name, node);
    node.postponed = { parent: parent.id, name };
    this.#context.journal.note(node);
    const closed = node.closed();
    const small = version.size <= FETCH_WHOLE_BYTES;
    const needed = small && fetcher !== undefined ? fetcher.whole().catch(() => closed) : closed;
    this.#context.background.start("postponed unlink", async () => {
      await Promise.race([needed, closed, this.#closing.promise]);
      await this.#removePostponed(parent, node, name);
    });
  }

  async #removePostponed(parent: DirectoryNode, node: FileNode, name = node.name): Promise<void> {
    await movesEnded(parent);
    const { version } = node;
    if (version === undefined) return;
    if (parent.postponed.get(name) === node) {
      await this.#removeExactly(version);
      parent.postponed.delete(name);
      node.postponed = undefined;
      this.#context.journal.note(node);
    }
    await this.#context.owed.removalDone(version);
  }

  /** Of a file that was never uploaded: what it has taken the place of, and what may have arrived all the same. */
  async #removeWhatIsThere(parent: DirectoryNode, node: FileNode): Promise<void> {
    await this.removeReplaced(node);
    await this.removeArrived(parent, node);
  }

  /** Before anything gets this name, or all below it, by a rename. */
  exhume(name: string): Promise<void> {
    return this.#tombstones.exhume(name);
  }

  /**
   * For files that are about to lose the names they have: to be called when they have lost them. What their uploads may still
   * make under these is nobody's (RULES 6); until then it may be what is renamed.
   */
  burial(leaving: Iterable<Node | undefined>): () => Promise<void> {
    const late: { object: string; operations: readonly string[] }[] = [];
    for (const node of leaving) {
      if (!isFile(node) || node.unsure.size === 0) continue;
      late.push({ object: this.#context.tree.objectName(node), operations: [...node.unsure] });
    }
    return async () => {
      for (const { object, operations } of late) await this.#tombstones.bury(object, operations);
    };
  }

  /** The object whose name a file has that was never uploaded: gone for programs since then, and now from the bucket. */
  async removeReplaced(node: FileNode): Promise<void> {
    const { replaces, parent, name } = node;
    if (node.version !== undefined || replaces === undefined || parent === undefined) return;
    await this.#removeNow(parent, name, { name: this.#context.tree.objectName(node), generation: replaces });
    node.replaces = undefined;
  }

  /** An upload whose outcome nobody knew may have arrived after all: then it goes too (RULES 6). */
  async removeArrived(parent: DirectoryNode, node: FileNode): Promise<void> {
    if (node.unsure.size === 0) return;
    const { value: live } = await this.#context.bucket.stat(this.#context.tree.objectName(node));
    const operation = live?.metadata[OPERATION_KEY];
    if (live !== undefined && operation !== undefined && node.unsure.has(operation))
      await this.#removeNow(parent, node.name, live);
  }

  /** Deletes this version if it is still there, and nobody else's. */
  async #removeExactly({ name, generation }: { name: string; generation: bigint }): Promise<void> {
    try {
      await this.#context.bucket.remove(name, generation);
    } catch (error) {
      if (!isBucketError(error, "precondition-failed", "not-found")) throw error;
    }
  }
}
