// Renaming a folder on a flat bucket: every object below it moves, sixteen at a time; seen through the mount it
// happens at once.
//
// The intent is in copies.db before the first move and leaves it after the last, so that a crash in between is
// made good at the next start. The kernel holds both folders' locks while it waits, so after five seconds the
// answer is given and the rest goes on below an overlay: until it ends the tree is the truth (RULES 28).

import { setTimeout as delay } from "node:timers/promises";
import type { Bucket, Dated, ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import { runInAll } from "../lib/turn.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Explorer } from "./explore.ts";
import type { RenameFlag } from "./filesystem.ts";
import type { Namespace } from "./namespace.ts";
import { checkNewName, pathBelow } from "./names.ts";
import {
  isDirectory,
  isFile,
  isLocal,
  movesEnded,
  type DirectoryNode,
  type FileNode,
  type Node,
} from "./nodes.ts";
import type { Place } from "./rename.ts";

const MOVES_AT_A_TIME = 16;
/** The kernel's folder locks are not held longer than this. */
const ANSWER_AFTER_MS = 5000;
const RETRY_MS = 5000;

interface MovedObject {
  readonly name: string;
  readonly generation: bigint;
}

export class FolderRenamer {
  readonly #context: Context;
  readonly #explorer: Explorer;
  readonly #namespace: Namespace;

  constructor(context: Context, parts: { explorer: Explorer; namespace: Namespace }) {
    this.#context = context;
    this.#explorer = parts.explorer;
    this.#namespace = parts.namespace;
  }

  async rename(node: DirectoryNode, to: Place, flag: RenameFlag): Promise<void> {
    const { tree } = this.#context;
    await movesEnded(node);
    await movesEnded(to.parent);
    const { parent, name } = node;
    if (parent === undefined) throw new FileSystemError("EINVAL", "the root cannot be renamed");
    checkNewName(to.name, `${tree.objectName(to.parent)}${to.name}/`);
    for (let above: Node | undefined = to.parent; above !== undefined; above = above.parent) {
      if (above === node) throw new FileSystemError("EINVAL", "a folder cannot move into itself");
    }
    const target = to.parent.children.get(to.name);
    if (target === node) return;
    if (target !== undefined && flag === "no-replace")
      throw new FileSystemError("EEXIST", `${to.name} exists`);
    if (target !== undefined && !isDirectory(target))
      throw new FileSystemError("ENOTDIR", `${to.name} is no folder`);
    if (isDirectory(target)) await this.#namespace.removeDirectory(to.parent, target);
    await this.#move(node, { parent, name }, to);
  }

  /** Finishes renames that an earlier run began. */
  async resume(renames: readonly { source: string; destination: string }[]): Promise<void> {
    const { bucket, owed, log } = this.#context;
    for (const { source, destination } of renames) {
      log.warn({ source, destination }, "finishing a folder rename of an earlier run");
      for await (const { name, generation } of objectsBelow(bucket, source)) {
        await this.#moveOne({ name, generation }, destination + name.slice(source.length));
      }
      await owed.renameDone(source);
    }
  }

  async #move(node: DirectoryNode, from: Place, to: Place): Promise<void> {
    const { tree, owed } = this.#context;
    const source = tree.objectName(node);
    const destination = `${tree.objectName(to.parent)}${to.name}/`;
    await this.#namespace.keepFolder(from.parent, node);
    const objects = await this.#explorer.everything(node);
    const ends = [tree.beginChange(from.parent, from.name), tree.beginChange(to.parent, to.name)];
    const active = [...filesBelow(node)]
      .filter((file) => file.changes.busy || isLocal(file))
      .sort((a, b) => a.id - b.id);
    await owed.oweRename(source, destination);
    let answered = false;
    const moving = runInAll(
      active.map(({ changes }) => changes),
      () => this.#belowOverlay(node, () => this.#moveAll(node, objects, source, destination, () => answered)),
    );
    const moved = moving.then(() => owed.renameDone(source)).finally(() => ends.forEach((end) => end()));
    const inTime = await Promise.race([
      moved.then(() => true),
      delay(ANSWER_AFTER_MS, false, { ref: false }),
    ]);
    answered = true;
    if (!inTime) {
      this.#context.log.info({ source, destination }, "a folder rename goes on after its answer");
      this.#context.background.start("folder rename", () => moved);
    }
    tree.move(node, to.parent, to.name);
    tree.touch(from.parent);
    tree.touch(to.parent);
  }

  /** Until `work` has ended the tree below the folder is the truth, and changes below it wait. */
  async #belowOverlay(node: DirectoryNode, work: () => Promise<void>): Promise<void> {
    const working = work();
    const over = (): void => {
      node.overlay = undefined;
    };
    node.overlay = working.then(over, over);
    await working;
  }

  async #moveAll(
    top: DirectoryNode,
    objects: readonly MovedObject[],
    source: string,
    destination: string,
    answered: () => boolean,
  ): Promise<void> {
    const queue = objects.values();
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      for (const object of queue) {
        const rest = object.name.slice(source.length);
        try {
          await this.#moveStubbornly(top, object, destination + rest, source, answered);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: MOVES_AT_A_TIME }, worker));
    if (failures.length > 0) throw failures[0];
  }

  /** Once the rename was answered there is nobody to report a failure to: it is tried until it works. */
  async #moveStubbornly(
    top: DirectoryNode,
    object: MovedObject,
    destination: string,
    source: string,
    answered: () => boolean,
  ): Promise<void> {
    for (;;) {
      try {
        const moved = await this.#moveOne(object, destination);
        if (moved !== undefined) this.#tell(top, object.name.slice(source.length), moved);
        return;
      } catch (error) {
        if (!answered()) throw error;
        this.#context.log.warn({ object: object.name, err: error }, "a folder rename is delayed");
        await delay(RETRY_MS);
      }
    }
  }

  async #moveOne(object: MovedObject, destination: string): Promise<Dated<ObjectInfo> | undefined> {
    const { bucket, log } = this.#context;
    try {
      return await bucket.move(object, destination, "absent");
    } catch (error) {
      if (!isBucketError(error, "not-found", "precondition-failed")) throw error;
      const { value: live } = await bucket.stat(object.name);
      if (live === undefined) return undefined; // removed elsewhere meanwhile: nothing to move
      if (live.generation !== object.generation) return this.#moveOne(live, destination);
      log.warn(
        { object: object.name, destination },
        "not moved: the destination was made elsewhere meanwhile",
      );
      return undefined;
    }
  }

  /** The node of a moved object stands for the new version from now on. */
  #tell(top: DirectoryNode, rest: string, moved: Dated<ObjectInfo>): void {
    const { tree, store } = this.#context;
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
    const node = directory.children.get(path.last);
    if (node === undefined || isDirectory(node)) return;
    tree.confirmOwn(node, moved.value, moved.dateMs);
    if (isFile(node) && node.copy !== undefined) {
      node.copy.version = moved.value;
      store.renamed(node.copy, moved.value);
    }
  }
}

function* filesBelow(directory: DirectoryNode): Iterable<FileNode> {
  for (const child of directory.children.values()) {
    if (isFile(child)) yield child;
    else if (isDirectory(child)) yield* filesBelow(child);
  }
}

async function* objectsBelow(bucket: Bucket, prefix: string): AsyncIterable<MovedObject> {
  for (let pageToken: string | undefined; ;) {
    const page = await bucket.list({
      prefix,
      pageSize: 1000,
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    yield* page.objects;
    if (page.nextPageToken === undefined) return;
    pageToken = page.nextPageToken;
  }
}
