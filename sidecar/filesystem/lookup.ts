// From a name to a node. "Not found" is only ever said after the bucket said so to a question asked since.

import { setTimeout as delay } from "node:timers/promises";
import { linkCountOf } from "./attributes-of.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import { topOf } from "./departure.ts";
import type { Explorer, LongListing } from "./explore.ts";
import { LastAnswers } from "./last-answers.ts";
import { NAME_MAX_BYTES, OBJECT_NAME_MAX_BYTES } from "./names.ts";
import {
  holdingNames,
  isDirectory,
  isFile,
  isLocal,
  movesEnded,
  type DirectoryNode,
  type Node,
} from "./nodes.ts";
import { nameSettled, placeSerial, watchName } from "./observations.ts";
import { asksAlways, isTrusted } from "./trust.ts";

/** A look-up waits no longer for changes of the name that are under way here. */
const CHANGE_PATIENCE_MS = 10_000;
/** How long until the kernel has been told that a folder is gone. */
const HEARSAY_PATIENCE_MS = 50;

export class Lookup {
  readonly #context: Context;
  readonly #explorer: Explorer;
  readonly #last: LastAnswers;

  constructor(context: Context, explorer: Explorer) {
    this.#context = context;
    this.#explorer = explorer;
    this.#last = new LastAnswers(context.availability);
  }

  /** The node of this name as the trust rule allows it to be known, or undefined: there is none. */
  async find(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<Node | undefined> {
    for (;;) {
      const top = topOf(parent);
      if (top !== this.#context.tree.root && isDirectory(top)) return this.#inDeparted(top);
      const stayed = this.#watchPlace(parent);
      const found = await this.#find(parent, name, signal);
      if (found !== undefined || stayed()) return found;
    }
  }

  /**
   * There is nothing in a folder that was taken away. A path may lead to it only because the kernel has not heard of that yet:
   * ESTALE makes it walk the path again. That is waited for, but not for long: a rename holds the lock which the kernel needs
   * to hear of it.
   */
  async #inDeparted({ departure }: DirectoryNode): Promise<undefined> {
    if (departure?.isKnown === true) return undefined;
    await Promise.race([departure?.told, delay(HEARSAY_PATIENCE_MS)]);
    throw new FileSystemError("ESTALE", "the folder was removed elsewhere");
  }

  async #find(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<Node | undefined> {
    const { tree, monotonicMs, trust } = this.#context;
    if (Buffer.byteLength(name) > NAME_MAX_BYTES)
      throw new FileSystemError("ENAMETOOLONG", "name longer than 255 bytes");
    const trusted = parent.children.get(name);
    if (trusted !== undefined && this.#needNotAsk(trusted)) return trusted;
    await this.#placed(parent);
    const known = parent.children.get(name);
    if (parent.authoritative || parent.postponed.has(name)) return known;
    if (trust.soleWriter && isTrusted(parent.listed, monotonicMs())) return known;
    const key = tree.objectName(parent) + name;
    if (Buffer.byteLength(key) > OBJECT_NAME_MAX_BYTES) return undefined;
    if (known === undefined) return this.#ask(parent, name, signal);
    return holdingNames(parent, () => this.#askAgain(parent, name, signal));
  }

  /**
   * Of a name that is known: asks until the answer says something. While the name is being changed here it does not, and what is
   * known may have been replaced elsewhere before that change, and before the look-up began.
   */
  async #askAgain(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<Node | undefined> {
    const endMs = this.#context.monotonicMs() + CHANGE_PATIENCE_MS;
    for (;;) {
      const told = watchName(parent, name);
      const silence = await this.#last.ask(() => this.#ask(parent, name, signal));
      const found = parent.children.get(name);
      if (silence !== undefined && found === undefined) throw silence;
      const ours = isFile(found) ? found.local : found !== undefined && isLocal(found);
      const leftMs = endMs - this.#context.monotonicMs();
      if (silence !== undefined || told() || found === undefined || ours || leftMs <= 0) return found;
      await Promise.race([nameSettled(parent, name), delay(leftMs, undefined, { ref: false })]);
    }
  }

  /** What the bucket says of the name, asked in the way that suits what is known of it. */
  async #ask(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<Node | undefined> {
    const { tree, store } = this.#context;
    const known = parent.children.get(name);
    if (known !== undefined && !isDirectory(known)) await this.#explorer.confirm(known, signal);
    else if (known === undefined && (await store.knows(tree.objectName(parent) + name)))
      await this.#explorer.object(parent, name, signal);
    const confirmed = parent.children.get(name);
    if (confirmed !== undefined && !isDirectory(confirmed)) return confirmed;
    if (isDirectory(confirmed) && (await this.#explorer.confirmFolder(confirmed, signal))) return confirmed;
    return holdingNames(parent, async () => {
      await this.#explorer.name(parent, name, signal);
      return parent.children.get(name);
    });
  }

  #needNotAsk(node: Node): boolean {
    const { trust, monotonicMs } = this.#context;
    if (asksAlways(trust) && !isDirectory(node)) return isFile(node) && node.local;
    return isTrusted(node.confirmed, monotonicMs()) || isLocal(node);
  }

  async require(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<Node> {
    const node = await this.find(parent, name, signal);
    if (node === undefined) throw new FileSystemError("ENOENT", `no ${name}`);
    return node;
  }

  /**
   * Afterwards the folder's children are all there are, as the trust rule allows them to be known; or the answer is
   * what goes on to list them.
   */
  async list(directory: DirectoryNode, signal?: AbortSignal): Promise<LongListing | undefined> {
    for (;;) {
      if (isTrusted(directory.listed, this.#context.monotonicMs())) return undefined;
      await this.#placed(directory);
      if (directory.authoritative) return undefined;
      const stayed = this.#watchPlace(directory);
      const links = linkCountOf(directory);
      const long = await this.#listFolder(directory, signal);
      // The tree has told the kernel, but a program may look at once.
      if (linkCountOf(directory) !== links) await this.#context.kernel().attributesChanged(directory.id);
      if (stayed()) return long;
    }
  }

  async #listFolder(directory: DirectoryNode, signal?: AbortSignal): Promise<LongListing | undefined> {
    if (directory.listed === undefined) return this.#explorer.folder(directory, signal);
    return holdingNames(directory, async () => {
      let long: LongListing | undefined;
      const silence = await this.#last.ask(async () => {
        long = await this.#explorer.folder(directory, signal);
      });
      if (silence !== undefined && directory.listed === undefined) throw silence;
      return long;
    });
  }

  /** Before an open: asks again unless the version is trusted. ESTALE if the name stands for something newer (RULES 24). */
  async confirmForOpen(node: Node, signal?: AbortSignal): Promise<void> {
    if (isDirectory(node) || node.parent === undefined || isLocal(node)) return;
    const now = this.#context.monotonicMs();
    if (isTrusted(node.confirmed, now) || (isFile(node) && node.heldUntilMs > now)) return;
    await this.#placed(node.parent);
    if (node.parent.authoritative) return;
    await this.#last.ask(() => this.#explorer.confirm(node, signal));
    if (node.parent === undefined) throw new FileSystemError("ESTALE", "the name has a newer version");
  }

  /**
   * While the objects below a folder are being moved the tree knows them all. Of one that the service moves by itself
   * it does not, and nobody can say under which name they are to be asked for: that is waited for.
   */
  async #placed(directory: DirectoryNode): Promise<void> {
    if (this.#context.hierarchical && directory.authoritative) await movesEnded(directory);
  }

  /** Whether what was asked since about the folder's names still says something: the service did not move it meanwhile. */
  #watchPlace(directory: DirectoryNode): () => boolean {
    const { hierarchical } = this.#context;
    const serial = placeSerial(directory);
    return () => !hierarchical || (!directory.authoritative && placeSerial(directory) === serial);
  }
}
