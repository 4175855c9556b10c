// chmod, chown, truncate and times. Who may do it was checked by the kernel (default_permissions).

import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { SetAttributes } from "./filesystem.ts";
import { isFile, movesEnded, type FileNode, type Node } from "./nodes.ts";
import type { OpenFiles } from "./open-files.ts";
import type { Patcher } from "./patch.ts";
import type { Resting } from "./resting.ts";
import type { Saver } from "./save.ts";
import { refreshTimes } from "./attributes-of.ts";

export class AttributeSetter {
  readonly #context: Context;
  readonly #openFiles: OpenFiles;
  readonly #resting: Resting;
  readonly #saver: Saver;
  readonly #patcher: Patcher;

  constructor(
    context: Context,
    parts: { openFiles: OpenFiles; resting: Resting; saver: Saver; patcher: Patcher },
  ) {
    this.#context = context;
    this.#openFiles = parts.openFiles;
    this.#resting = parts.resting;
    this.#saver = parts.saver;
    this.#patcher = parts.patcher;
  }

  async set(node: Node, changes: SetAttributes): Promise<void> {
    if (this.#context.readOnly) throw new FileSystemError("EROFS", "mounted read-only");
    await movesEnded(node);
    if (isFile(node) && node.supplanted && node.opened.size === 0) {
      throw new FileSystemError("ESTALE", "the name has a newer version");
    }
    if (changes.size !== undefined) {
      if (!isFile(node)) throw new FileSystemError("EINVAL", "only files have a length to set");
      await this.#truncate(node, changes.size);
    }
    if (!this.#apply(node, changes)) return;
    await this.persist(node);
  }

  /** Sets what was asked; answers whether anything must reach the bucket. */
  #apply(node: Node, { mode, uid, gid, accessTimeNs, modifyTimeNs }: SetAttributes): boolean {
    const { wallNs } = this.#context;
    const now = wallNs();
    if (isFile(node)) refreshTimes(node);
    if (mode !== undefined) node.mode = mode & 0o7777;
    if (uid !== undefined) node.uid = uid;
    if (gid !== undefined) node.gid = gid;
    if (accessTimeNs !== undefined) node.accessTimeNs = accessTimeNs === "now" ? now : accessTimeNs;
    if (modifyTimeNs !== undefined) {
      node.modifyTimeNs = modifyTimeNs === "now" ? now : modifyTimeNs;
      if (isFile(node)) node.timeGiven = modifyTimeNs !== "now";
    }
    const stored = mode ?? uid ?? gid ?? modifyTimeNs;
    if (stored !== undefined || accessTimeNs !== undefined) node.changeTimeNs = now;
    return stored !== undefined;
  }

  /** With the next upload if there is one to come; otherwise gathered into one patch. */
  async persist(node: Node): Promise<void> {
    if (node.parent === undefined && node !== this.#context.tree.root) return;
    const uploadComes =
      isFile(node) &&
      (node.version === undefined ||
        node.owed !== undefined ||
        (node.writers > 0 && node.copy?.changed() === true));
    if (isFile(node)) await this.#context.owing()?.attributesSet(node);
    if (!uploadComes && node !== this.#context.tree.root) await this.#patcher.owe(node);
    if (isFile(node)) void this.#context.kernel().attributesChanged(node.id);
    this.#context.witness().attributesChanged(node);
  }

  /** With a writer, its close uploads; without one nobody else would, so this does. */
  async #truncate(node: FileNode, size: number): Promise<void> {
    this.#openFiles.refuseIfReadOnly();
    const changed = await node.openings.run(async () => {
      if (size !== 0) return this.#resize(node, size);
      await this.#openFiles.empty(node);
      return true;
    });
    if (!changed) {
      this.#resting.soon(node); // its copy was opened to see how long it is
      this.#apply(node, { modifyTimeNs: "now" }); // POSIX, truncate: whatever length the file had
      return this.persist(node);
    }
    node.contentSerial += 1;
    if (node.writers > 0) return;
    try {
      await (this.#context.owing()?.acknowledge(node) ?? this.#saver.save(node));
    } catch (error) {
      await this.#resting.giveUp(node); // the program knows; nobody would try again
      throw error;
    } finally {
      this.#resting.soon(node);
    }
  }

  /** False if there is nothing to be changed: nobody has the file open, and it has this length. */
  async #resize(node: FileNode, size: number): Promise<boolean> {
    await this.#openFiles.obtainCopy(node);
    const { copy } = node;
    if (copy === undefined || (copy.observe().size === size && node.opened.size === 0)) return false;
    await this.#openFiles.allowWrites(node);
    await copy.truncate(size);
    const now = this.#context.wallNs();
    Object.assign(node, {
      modifyTimeNs: now,
      changeTimeNs: now,
      timeGiven: false,
      seenModifiedNs: copy.observe().modifiedNs,
    });
    return true;
  }
}
