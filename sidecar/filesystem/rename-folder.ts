// Renaming a folder on a flat bucket: every object below it moves; seen through the mount it happens at once. On a
// hierarchical bucket the service moves them (rename-native.ts), behind the same gate.
//
// Changes below the folder wait from its start (`moving`); those under way are waited for. The intent is in
// copies.db before the first move and leaves it after the last, so that a crash in between is made good at the next
// start. The kernel holds both folders' locks while it waits, so after five seconds the answer is given and the
// rest goes on below an overlay: until it ends the tree is the truth (RULES 28).

import { setImmediate as turnOfTheLoop, setTimeout as delay } from "node:timers/promises";
import type { Dated, ObjectInfo } from "../bucket/bucket.ts";
import { runInAll } from "../lib/turn.ts";
import type { Context } from "./context.ts";
import { requireAttached } from "./departure.ts";
import { FileSystemError } from "./errors.ts";
import type { Explorer } from "./explore.ts";
import type { RenameFlag } from "./filesystem.ts";
import type { Folders } from "./folders.ts";
import { ObjectMover, type Moving } from "./move-objects.ts";
import { MovedFolders } from "./moved-folders.ts";
import type { Namespace } from "./namespace.ts";
import { checkNewName, pathBelow } from "./names.ts";
import { nodesBelow } from "./nodes-below.ts";
import { isDirectory, isFile, movesAroundEnded, type DirectoryNode, type Node } from "./nodes.ts";
import type { Patcher } from "./patch.ts";
import { NativeRenamer } from "./rename-native.ts";
import type { Place } from "./rename.ts";

/** The kernel's folder locks are not held longer than this. */
const ANSWER_AFTER_MS = 5000;
/** How often a rename looks whether the names below it that are just being changed are done. */
const QUIET_LOOK_MS = 5;

export class FolderRenamer {
  readonly #context: Context;
  readonly #explorer: Explorer;
  readonly #namespace: Namespace;
  readonly #patcher: Patcher;
  readonly #folders: Folders;
  readonly #mover: ObjectMover;
  readonly #native: NativeRenamer | undefined;
  readonly #moved: MovedFolders;

  constructor(
    context: Context,
    parts: { explorer: Explorer; namespace: Namespace; patcher: Patcher; folders: Folders },
  ) {
    this.#context = context;
    this.#folders = parts.folders;
    this.#explorer = parts.explorer;
    this.#namespace = parts.namespace;
    this.#patcher = parts.patcher;
    this.#mover = new ObjectMover(context);
    this.#moved = new MovedFolders(context);
    this.#native = context.hierarchical ? new NativeRenamer(context, parts.patcher) : undefined;
  }

  /** `again`: an earlier worker had begun it for the same request, and may have done it. */
  async rename(node: DirectoryNode, to: Place, flag: RenameFlag, again = false): Promise<void> {
    const { tree } = this.#context;
    await movesAroundEnded(node, to.parent);
    const { parent, name } = node;
    if (parent === undefined) throw new FileSystemError("EINVAL", "the root cannot be renamed");
    requireAttached(to.parent);
    const destination = `${tree.objectName(to.parent)}${to.name}/`;
    checkNewName(to.name, destination);
    this.#folders.checkName(destination);
    for (let above: Node | undefined = to.parent; above !== undefined; above = above.parent) {
      if (above === node) throw new FileSystemError("EINVAL", "a folder cannot move into itself");
    }
    const source = tree.objectName(node);
    if (again && (await this.#moved.areMoved(node, source, destination))) {
      this.#place(node, { parent, name }, to);
      return this.#context.owed.renameSettled({ source, destination }, this.#patcher.owedBelow(node));
    }
    const target = to.parent.children.get(to.name);
    if (target === node) return;
    if (target !== undefined && flag === "no-replace")
      throw new FileSystemError("EEXIST", `${to.name} exists`);
    if (target !== undefined && !isDirectory(target))
      throw new FileSystemError("ENOTDIR", `${to.name} is no folder`);
    if (isDirectory(target)) await this.#namespace.removeDirectory(to.parent, target);
    await this.#namespace.keepFolder(parent, node);
    for (;;) {
      await movesAroundEnded(node, to.parent);
      const owing = this.#context.owing();
      if (owing?.owesBelow(node) !== true) break;
      await owing.sentBelow(node);
    }
    await this.#behindGate(node, { parent, name }, to, flag === "no-replace");
  }

  /** Finishes renames that an earlier run began. */
  async resume(renames: readonly { source: string; destination: string }[]): Promise<void> {
    const { owed, log } = this.#context;
    for (const rename of renames) {
      const { source, destination } = rename;
      log.warn({ source, destination }, "finishing a folder rename of an earlier run");
      if (this.#native !== undefined) {
        await this.#native.finish(rename);
      } else {
        await this.#mover.finish(source, destination);
        await owed.renameDone(source);
      }
      await this.#moved.finished(rename);
    }
  }

  /** Answers when the folder has moved or after five seconds, whichever is first. */
  async #behindGate(node: DirectoryNode, from: Place, to: Place, noReplace: boolean): Promise<void> {
    const { tree, background, log } = this.#context;
    const ends = [tree.beginChange(from.parent, from.name), tree.beginChange(to.parent, to.name)];
    const gate = Promise.withResolvers<void>();
    node.moving = gate.promise;
    to.parent.arriving.add(gate.promise);
    const moving: Moving = {
      source: tree.objectName(node),
      destination: `${tree.objectName(to.parent)}${to.name}/`,
      answered: false,
      failed: false,
      noReplace,
      moved: (rest, object) => this.#tell(node, rest, object),
    };
    const placed = Promise.withResolvers<void>();
    const place = (): void => {
      if (moving.answered || moving.failed) return;
      moving.answered = true;
      this.#place(node, from, to);
      placed.resolve();
    };
    const whole = this.#moveQuietly(node, moving, place).finally(() => {
      // What was answered and could not be done after all is shown as the bucket has it.
      if (this.#native !== undefined && moving.failed && moving.answered) this.#putBack(node, from, to);
      tree.movedBelow(node);
      node.overlaid = false;
      node.moving = undefined;
      to.parent.arriving.delete(gate.promise);
      for (const end of ends) end();
      gate.resolve();
    });
    const { monotonicMs } = this.#context;
    const begunMs = monotonicMs();
    const inTime = await Promise.race([whole.then(() => true), placed.promise.then(() => false)]);
    if (inTime) return;
    if (monotonicMs() - begunMs >= ANSWER_AFTER_MS)
      log.info(
        { source: moving.source, destination: moving.destination },
        "a folder rename goes on after its answer",
      );
    background.start("folder rename", () => whole);
  }

  /** Moves everything once nothing below the folder is changing; `place` is called at the end, or in time for the kernel. */
  async #moveQuietly(node: DirectoryNode, moving: Moving, place: () => void): Promise<void> {
    await turnOfTheLoop(); // those who passed the gate before it closed are in their turns by now
    // Before any turn is taken: a rename of one file may wait for one of them while it has begun to change a name.
    while ([...nodesBelow(node)].some(changesNames)) await delay(QUIET_LOOK_MS);
    const busy = [...nodesBelow(node)].filter(({ changes }) => changes.busy).sort((a, b) => a.id - b.id);
    await runInAll(
      busy.map(({ changes }) => changes),
      async () => {
        const bury = this.#namespace.burial(nodesBelow(node));
        await this.#namespace.exhume(moving.destination);
        if (this.#native === undefined) await this.#moveObjects(node, moving, place);
        else await this.#native.move(node, moving, place, ANSWER_AFTER_MS);
        await bury();
      },
    );
  }

  async #moveObjects(node: DirectoryNode, moving: Moving, place: () => void): Promise<void> {
    const { owed } = this.#context;
    const { source, destination } = moving;
    const objects = await this.#explorer.everything(node);
    await owed.oweRename({ source, destination }, this.#patcher.followingBelow(node, destination));
    node.overlaid = true;
    const late = setTimeout(place, ANSWER_AFTER_MS);
    try {
      await this.#mover.moveAll(objects, moving);
      place();
    } catch (error) {
      // Undone, so nobody owes it any more; what was acknowledged or broken off is finished at the next start.
      if (!moving.answered && !this.#context.stopping())
        await owed.renameUndone({ source, destination }, this.#patcher.owedBelow(node));
      throw error;
    } finally {
      clearTimeout(late);
    }
    await owed.renameSettled({ source, destination }, this.#patcher.owedBelow(node));
  }

  #place(node: DirectoryNode, from: Place, to: Place): void {
    const { tree } = this.#context;
    tree.move(node, to.parent, to.name);
    tree.touch(from.parent);
    tree.touch(to.parent);
  }

  #putBack(node: DirectoryNode, from: Place, to: Place): void {
    this.#place(node, to, from);
    void this.#context.kernel().entryChanged(to.parent.id, to.name);
    void this.#context.kernel().entryChanged(from.parent.id, from.name);
  }

  /** The node of a moved object stands for the new version from now on. */
  #tell(top: DirectoryNode, rest: string, moved: Dated<ObjectInfo>): void {
    const { tree, store, background, owed } = this.#context;
    const path = pathBelow("", rest);
    let directory: Node | undefined = top;
    for (const name of path.folders)
      directory = isDirectory(directory) ? directory.children.get(name) : undefined;
    if (path.last === undefined || !isDirectory(directory)) return;
    if (path.last === "") {
      directory.placeholder = moved.value;
      tree.confirmOwn(directory, moved.value, moved.dateMs);
      return;
    }
    const node = directory.children.get(path.last) ?? directory.postponed.get(path.last);
    if (node === undefined || isDirectory(node)) return;
    tree.confirmOwn(node, moved.value, moved.dateMs);
    if (isFile(node)) this.#context.witness().renamed(node);
    if (isFile(node) && directory.postponed.get(path.last) === node)
      background.start("owe removal", () => owed.oweRemoval(moved.value));
    if (isFile(node) && node.copy !== undefined) {
      node.copy.version = moved.value;
      store.renamed(node.copy, moved.value);
    }
  }
}

/** Whether names in the folder are just being made or removed. */
function changesNames(node: Node): boolean {
  return isDirectory(node) && [...node.nameChanges.values()].some(({ underWay }) => underWay > 0);
}
