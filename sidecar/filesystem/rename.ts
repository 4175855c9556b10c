// Renaming one file, link or special node: one atomic move in the bucket, or none if the bucket never had it.

import { setTimeout as delay } from "node:timers/promises";
import { isBucketError } from "../bucket/errors.ts";
import type { Dated, Expected, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { requireAttached } from "./departure.ts";
import { FileSystemError } from "./errors.ts";
import type { Explorer } from "./explore.ts";
import type { RenameFlag } from "./filesystem.ts";
import { OPERATION_KEY } from "./metadata.ts";
import { checkNewName } from "./names.ts";
import { isDirectory, isFile, movesEnded, type DirectoryNode, type Node, type ObjectNode } from "./nodes.ts";
import type { Namespace } from "./namespace.ts";
import { FETCH_WHOLE_BYTES } from "./sizes.ts";
import { inTurnsOf } from "./owing.ts";
import type { Patcher } from "./patch.ts";
import type { Resting } from "./resting.ts";
import { movedByUs } from "./moved-by-us.ts";
import { keepTimesApart } from "./times-apart.ts";
import type { VersionTimes } from "./version-times.ts";

/** Another writer keeps replacing the destination: after this many tries it is trouble. */
const MOVE_ATTEMPTS = 8;
/** How long a rename waits for the bytes that readers of the replaced file still need. */
const READERS_PATIENCE_MS = 5000;

export interface Place {
  readonly parent: DirectoryNode;
  readonly name: string;
}

interface How {
  readonly flag: RenameFlag;
  readonly again: boolean;
}

export class FileRenamer {
  readonly #context: Context;
  readonly #explorer: Explorer;
  readonly #namespace: Namespace;
  readonly #resting: Resting;
  readonly #times: VersionTimes;
  readonly #patcher: Patcher;

  constructor(
    context: Context,
    parts: {
      explorer: Explorer;
      namespace: Namespace;
      resting: Resting;
      times: VersionTimes;
      patcher: Patcher;
    },
  ) {
    this.#context = context;
    this.#explorer = parts.explorer;
    this.#namespace = parts.namespace;
    this.#resting = parts.resting;
    this.#times = parts.times;
    this.#patcher = parts.patcher;
  }

  /** `again`: an earlier worker had begun it for the same request, and may have moved the object. */
  async rename(node: ObjectNode, to: Place, flag: RenameFlag, again = false): Promise<void> {
    const { tree } = this.#context;
    await movesEnded(node);
    await movesEnded(to.parent);
    requireAttached(to.parent);
    checkNewName(to.name, tree.objectName(to.parent) + to.name);
    const target = to.parent.children.get(to.name);
    if (target === node) return;
    if (target !== undefined && flag === "no-replace")
      throw new FileSystemError("EEXIST", `${to.name} exists`);
    if (isDirectory(target)) throw new FileSystemError("EISDIR", `${to.name} is a folder`);
    if (node.parent === undefined) throw new FileSystemError("ENOENT", "the file was removed");
    const both = [node, ...(target === undefined ? [] : [target])];
    const ends = [tree.beginChange(node.parent, node.name), tree.beginChange(to.parent, to.name)];
    try {
      await inTurnsOf(both, this.#context, () => this.#renameInTurn(node, target, to, { flag, again }));
    } finally {
      for (const end of ends) end();
    }
  }

  async #renameInTurn(node: ObjectNode, target: ObjectNode | undefined, to: Place, how: How): Promise<void> {
    const { tree } = this.#context;
    const { parent, name } = node;
    if (parent === undefined) throw new FileSystemError("ENOENT", "the file was removed");
    await this.#namespace.keepFolder(parent, node);
    await this.#sendWhatIsOwed(node, target);
    const replaced =
      target?.version?.generation ??
      (isFile(target) ? target.replaces : undefined) ??
      to.parent.postponed.get(to.name)?.version?.generation;
    const bury = this.#namespace.burial([node, target]);
    await this.#namespace.exhume(tree.objectName(to.parent) + to.name);
    if (node.version !== undefined) await this.#moveObject(node, target, to, how, replaced ?? "absent");
    else if (isFile(node)) {
      await this.#namespace.removeReplaced(node);
      await this.#namespace.removeArrived(parent, node);
      const object = tree.objectName(to.parent) + to.name;
      const exclusive = how.flag === "no-replace"; // whatever it was made as
      await this.#context.owing()?.renaming(node, target, { object, base: replaced ?? "absent", exclusive });
      node.replaces = replaced;
      node.exclusive = exclusive;
    }
    await bury();
    if (target !== undefined) this.#displace(target);
    if (isFile(node))
      keepTimesApart(this.#context, this.#times, node, tree.objectName(to.parent) + to.name, target);
    to.parent.postponed.delete(to.name);
    tree.move(node, to.parent, to.name);
    tree.touch(parent);
    tree.touch(to.parent);
    if (node.patchOwed) await this.#patcher.owe(node);
    this.#context.log.debug({ from: name, to: to.name }, "renamed");
  }

  /** An object that is to be moved, or may have arrived, must be there as a whole. What was never sent gets its name here. */
  async #sendWhatIsOwed(node: ObjectNode, target: ObjectNode | undefined): Promise<void> {
    const owing = this.#context.owing();
    if (owing === undefined) return;
    const moves = !isFile(node) || node.version !== undefined || node.unsure.size > 0;
    if (moves && isFile(node)) await owing.send(node);
    const replacing = isFile(node) && !moves && node.owed !== undefined;
    if (!replacing && isFile(target)) await owing.send(target);
  }

  async #moveObject(
    node: ObjectNode,
    target: Node | undefined,
    to: Place,
    how: How,
    expected: Expected,
  ): Promise<void> {
    const { tree, store, owed } = this.#context;
    const { version } = node;
    if (version === undefined) return;
    await this.#saveReadersOf(target);
    const destination = tree.objectName(to.parent) + to.name;
    const following = this.#patcher.following(node, destination);
    if (following !== undefined) await owed.owePatch(following);
    let moved: Dated<ObjectInfo>;
    try {
      moved = await this.#moveUntilSettled(node, version, destination, how, expected);
    } catch (error) {
      if (following !== undefined) await owed.patchMoot(destination, following.generation);
      if (target?.patchOwed === true) await this.#patcher.owe(target);
      throw error;
    }
    if (node.patchOwed) await owed.patchDone(version.name);
    tree.confirmOwn(node, moved.value, moved.dateMs);
    if (isFile(node)) this.#context.witness().renamed(node);
    if (isFile(node) && node.copy !== undefined) {
      node.copy.version = moved.value;
      store.renamed(node.copy, moved.value);
    }
  }

  async #moveUntilSettled(
    node: ObjectNode,
    known: ObjectInfo,
    destination: string,
    { flag, again }: How,
    firstExpected: Expected,
  ): Promise<Dated<ObjectInfo>> {
    const { bucket, log } = this.#context;
    let expected = firstExpected;
    let version = known;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await bucket.move(version, destination, expected);
      } catch (error) {
        if (!isBucketError(error, "precondition-failed", "not-found") || attempt >= MOVE_ATTEMPTS)
          throw error;
        const moved = again ? await movedByUs(this.#context, version, destination) : undefined;
        if (moved !== undefined) return moved;
        const source = await this.#requireSource(node, version, error);
        if (source !== version) {
          version = source;
          continue;
        }
        const { value: live } = await bucket.stat(destination);
        if (flag === "no-replace" && live !== undefined)
          throw new FileSystemError("EEXIST", `${destination} was made elsewhere`, error);
        log.warn(
          { object: destination, expected: String(expected), found: String(live?.generation ?? "absent") },
          "a rename replaces another writer's version",
        );
        expected = live?.generation ?? "absent";
      }
    }
  }

  /**
   * What is to be moved: the version that is known, or one that an upload of ours has made whose outcome nobody knew. The name
   * may also stand for something newer, or nothing: ESTALE makes the kernel look again.
   */
  async #requireSource(node: ObjectNode, version: ObjectInfo, cause: unknown): Promise<ObjectInfo> {
    const { bucket, log } = this.#context;
    const { value: live } = await bucket.stat(version.name);
    if (live?.generation === version.generation) return version;
    const operation = live?.metadata[OPERATION_KEY];
    if (live !== undefined && operation !== undefined && isFile(node) && node.unsure.has(operation)) {
      log.info({ object: version.name }, "an earlier upload had arrived after all");
      return live;
    }
    if (!isFile(node) || !node.local) {
      node.confirmed = undefined;
      this.#context.background.start("confirm", () => this.#explorer.confirm(node));
    }
    throw live === undefined
      ? new FileSystemError("ENOENT", `${version.name} was removed elsewhere`, cause)
      : new FileSystemError("ESTALE", `${version.name} was replaced elsewhere`, cause);
  }

  /**
   * Who has the file open that is about to be replaced keeps its bytes, as far as they come by one request (RULES
   * 13) and soon: the kernel holds the folder's lock (RULES 28).
   */
  async #saveReadersOf(target: Node | undefined): Promise<void> {
    if (!isFile(target) || target.opened.size === 0 || target.fetcher === undefined) return;
    if ((target.version?.size ?? 0) > FETCH_WHOLE_BYTES) return;
    const late = delay(READERS_PATIENCE_MS, undefined, { ref: false });
    await Promise.race([target.fetcher.whole().catch(() => undefined), late]);
  }

  #displace(target: ObjectNode): void {
    this.#context.tree.detach(target);
    if (!isFile(target)) return;
    if (target.copy !== undefined) this.#context.store.unlinked(target.copy);
    this.#resting.soon(target);
  }
}
