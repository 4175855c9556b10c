// Attribute changes after a close: one patch for all of them, about a second later (about one write a second per
// object name is the service's ceiling). Acknowledged means recorded in copies.db: a crash does not lose them,
// and they follow renames (RULES 14).

import { isBucketError } from "../bucket/errors.ts";
import { storedAttributes, type Context } from "./context.ts";
import { encodeAttributes } from "./metadata.ts";
import { isDirectory, movesEnded, type DirectoryNode, type Node } from "./nodes.ts";

/** How long changes are gathered. */
const GATHER_MS = 1000;

export class Patcher {
  readonly #context: Context;
  readonly #gathering = new Map<Node, NodeJS.Timeout>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Records that the node's attributes must reach the bucket; resolves when a crash would not lose that. */
  async owe(node: Node): Promise<void> {
    node.patchOwed = true;
    const target = this.#target(node);
    if (target !== undefined)
      await this.#context.owed.owePatch(target.name, target.generation, this.#metadata(node));
    clearTimeout(this.#gathering.get(node));
    this.#gathering.set(
      node,
      setTimeout(() => {
        this.#gathering.delete(node);
        this.#context.background.start("patch", () => this.flush(node));
      }, GATHER_MS),
    );
  }

  /** Sends what is gathered for this node. */
  async flush(node: Node): Promise<void> {
    await movesEnded(node);
    return node.changes.run(() => this.flushInTurn(node));
  }

  /** As `flush`, for those who already hold the node's turn. */
  async flushInTurn(node: Node): Promise<void> {
    clearTimeout(this.#gathering.get(node));
    this.#gathering.delete(node);
    if (!node.patchOwed || !this.#context.tree.isAttached(node)) return;
    const target = this.#target(node);
    if (target === undefined) {
      if (isDirectory(node)) await this.writePlaceholder(node);
      return;
    }
    const { bucket, tree, owed, log } = this.#context;
    try {
      const patched = await bucket.patch(target.name, target, { metadata: this.#metadata(node) });
      node.patchOwed = false;
      if (isDirectory(node)) node.placeholder = patched.value;
      tree.confirmOwn(node, patched.value, patched.dateMs);
      if (!isDirectory(node) && "copy" in node && node.copy !== undefined) node.copy.version = patched.value;
    } catch (error) {
      if (!isBucketError(error, "precondition-failed", "not-found")) throw error;
      log.warn(
        { object: target.name, err: error },
        "attributes not stored: the object was changed elsewhere meanwhile",
      );
      node.patchOwed = false;
      node.confirmed = undefined;
    }
    await owed.patchDone(target.name);
  }

  async flushAll(): Promise<void> {
    await Promise.all([...this.#gathering.keys()].map((node) => this.flush(node)));
  }

  /** A folder exists in the bucket by its own object `name/`, with its attributes. */
  async writePlaceholder(directory: DirectoryNode): Promise<void> {
    const { bucket, tree, directoryDefaults, nextOperationId } = this.#context;
    const encoded = Object.entries(encodeAttributes(storedAttributes(directory), directoryDefaults));
    const metadata = Object.fromEntries(
      encoded.filter((entry): entry is [string, string] => entry[1] !== null),
    );
    const name = tree.objectName(directory);
    const endChange = directory.parent === undefined ? undefined : tree.beginChange(directory, "");
    try {
      const placed = await bucket.insert(
        name,
        { kind: "bytes", bytes: Buffer.alloc(0), crc32c: 0 },
        "absent",
        { contentType: "application/x-directory", metadata },
        { operationId: nextOperationId() },
      );
      directory.placeholder = placed.value;
      directory.patchOwed = false;
      tree.confirmOwn(directory, placed.value, placed.dateMs);
    } finally {
      endChange?.();
    }
  }

  #target(node: Node): { name: string; generation: bigint; metageneration: bigint } | undefined {
    const object = isDirectory(node) ? node.placeholder : node.version;
    if (object === undefined || object === "absent") return undefined;
    return {
      name: this.#context.tree.objectName(node),
      generation: object.generation,
      metageneration: object.metageneration,
    };
  }

  #metadata(node: Node): Record<string, string | null> {
    const defaults = isDirectory(node) ? this.#context.directoryDefaults : this.#context.fileDefaults;
    return encodeAttributes(storedAttributes(node), defaults);
  }
}
