// From a name to a node. "Not found" is only ever said after the bucket said so to a question asked since.

import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Explorer, LongListing } from "./explore.ts";
import { NAME_MAX_BYTES, OBJECT_NAME_MAX_BYTES } from "./names.ts";
import { holdingNames, isDirectory, isFile, isLocal, type DirectoryNode, type Node } from "./nodes.ts";
import { isTrusted } from "./trust.ts";

export class Lookup {
  readonly #context: Context;
  readonly #explorer: Explorer;

  constructor(context: Context, explorer: Explorer) {
    this.#context = context;
    this.#explorer = explorer;
  }

  /** The node of this name as the trust rule allows it to be known, or undefined: there is none. */
  async find(parent: DirectoryNode, name: string, signal?: AbortSignal): Promise<Node | undefined> {
    const { tree, monotonicMs, trust, store } = this.#context;
    if (Buffer.byteLength(name) > NAME_MAX_BYTES)
      throw new FileSystemError("ENAMETOOLONG", "name longer than 255 bytes");
    const known = parent.children.get(name);
    if (known !== undefined && (isTrusted(known.confirmed, monotonicMs()) || isLocal(known))) return known;
    if (parent.authoritative || parent.postponed.has(name)) return known;
    if (trust.soleWriter && isTrusted(parent.listed, monotonicMs())) return known;
    const key = tree.objectName(parent) + name;
    if (Buffer.byteLength(key) > OBJECT_NAME_MAX_BYTES) return undefined;
    if (known !== undefined && !isDirectory(known)) await this.#explorer.confirm(known, signal);
    else if (known === undefined && (await store.knows(key)))
      await this.#explorer.object(parent, name, signal);
    const confirmed = parent.children.get(name);
    if (confirmed !== undefined && !isDirectory(confirmed)) return confirmed;
    return holdingNames(parent, async () => {
      await this.#explorer.name(parent, name, signal);
      return parent.children.get(name);
    });
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
    if (directory.authoritative || isTrusted(directory.listed, this.#context.monotonicMs())) return undefined;
    return this.#explorer.folder(directory, signal);
  }

  /** Before an open: asks again unless the version is trusted. ESTALE if the name stands for something newer (RULES 24). */
  async confirmForOpen(node: Node, signal?: AbortSignal): Promise<void> {
    if (isDirectory(node) || node.parent === undefined || node.parent.authoritative || isLocal(node)) return;
    const now = this.#context.monotonicMs();
    if (isTrusted(node.confirmed, now) || (isFile(node) && node.heldUntilMs > now)) return;
    await this.#explorer.confirm(node, signal);
    if (node.parent === undefined) throw new FileSystemError("ESTALE", "the name has a newer version");
  }
}
