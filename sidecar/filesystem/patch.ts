// Attribute changes after a close: one patch for all of them, about a second later (about one write a second per
// object name is the service's ceiling). Acknowledged means recorded in copies.db: a crash does not lose them,
// and they follow renames (RULES 14).

import { isDeepStrictEqual } from "node:util";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import { contentOf, type OwedPatch } from "../copies/owed-work.ts";
import { storedAttributes, type Context } from "./context.ts";
import { encodeAttributes } from "./metadata.ts";
import { nodesBelow } from "./nodes-below.ts";
import { isDirectory, movesEnded, versionOf, type DirectoryNode, type Node } from "./nodes.ts";

/** How long changes are gathered. */
const GATHER_MS = 1000;
/** When a patch that failed is tried again. */
const RETRY_MS = 5000;

interface Target {
  readonly name: string;
  readonly version: ObjectInfo;
}

export class Patcher {
  readonly #context: Context;
  readonly #gathering = new Map<Node, NodeJS.Timeout>();
  /** Those that are gathered or being sent. */
  readonly #owing = new Set<Node>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Records that the node's attributes must reach the bucket; resolves when a crash would not lose that. */
  async owe(node: Node): Promise<void> {
    node.patchOwed = true;
    this.#context.journal.note(node);
    this.#owing.add(node);
    let target = this.#target(node);
    if (target === undefined && isDirectory(node)) {
      if (await this.#madePlaceholder(node)) return;
      target = this.#target(node);
    }
    if (target !== undefined) await this.#context.owed.owePatch(this.#rowFor(node, target));
    this.#gather(node, GATHER_MS);
  }

  /** What is to be recorded of this node before a rename brings its object to `name`: undefined if it owes nothing. */
  following(node: Node, name: string): OwedPatch | undefined {
    const target = node.patchOwed ? this.#target(node) : undefined;
    if (target === undefined) return undefined;
    return { ...this.#rowFor(node, target), object: name, content: contentOf(target.version) };
  }

  /** As `following`, of everything below a folder that is to be called `destination`, which ends in "/". */
  followingBelow(directory: DirectoryNode, destination: string): OwedPatch[] {
    const { tree } = this.#context;
    const below = tree.objectName(directory).length;
    return [...nodesBelow(directory)]
      .map((node) => this.following(node, destination + tree.objectName(node).slice(below)))
      .filter((patch) => patch !== undefined);
  }

  /** What is to be recorded of everything below a folder by the names of now. */
  owedBelow(directory: DirectoryNode): OwedPatch[] {
    return [...nodesBelow(directory)].flatMap((node) => {
      const target = node.patchOwed ? this.#target(node) : undefined;
      return target === undefined ? [] : [this.#rowFor(node, target)];
    });
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
    if (!node.patchOwed) {
      this.#owing.delete(node);
      return;
    }
    if (!this.#context.tree.isAttached(node)) return this.#owedToNobody(node);
    if (isDirectory(node) && this.#target(node) === undefined && (await this.#ensurePlaceholder(node)))
      return;
    const target = this.#target(node);
    if (target === undefined) return;
    const metadata = this.#metadata(node);
    await this.#send(node, target, metadata);
    // What changed while it was being sent is owed still, now to the version this made.
    if (!isDeepStrictEqual(metadata, this.#metadata(node))) return this.owe(node);
    node.patchOwed = false;
    this.#context.journal.note(node);
    this.#owing.delete(node);
    await this.#context.owed.patchDone(target.name);
  }

  /** Its object was removed, or replaced. */
  async #owedToNobody(node: Node): Promise<void> {
    node.patchOwed = false;
    this.#owing.delete(node);
    this.#context.journal.note(node);
    const version = versionOf(node);
    if (version !== undefined) await this.#context.owed.patchMoot(version.name, version.generation);
  }

  /** Sends all that is gathered. What fails stays owed, in copies.db, to this run or the next. */
  async flushAll(): Promise<void> {
    const nodes = this.#owed();
    await Promise.all(nodes.map((node) => this.#flushLater(node).catch(() => undefined)));
  }

  /** How many nodes have attributes that the bucket does not have. */
  owed(): number {
    return this.#owed().length;
  }

  /** Patches an earlier run owed. */
  async resume(patches: readonly OwedPatch[]): Promise<void> {
    const { bucket, owed, log } = this.#context;
    const unmoved = new Set<bigint>();
    const ordered = [...patches].sort((one, other) => Number(isComing(one)) - Number(isComing(other)));
    for (const patch of ordered) {
      const { object, generation, metadata } = patch;
      try {
        const { value } = await bucket.stat(object);
        if (value?.generation === generation) unmoved.add(generation);
        if (value !== undefined && isMeant(value, patch, unmoved))
          await bucket.patch(object, value, { metadata });
      } catch (error) {
        if (isTransient(error)) throw error;
        log.warn({ object, err: error }, "attributes of an earlier run no longer apply");
      }
      await owed.patchDone(object);
    }
  }

  #owed(): Node[] {
    return [...this.#owing].filter((node) => node.patchOwed && this.#context.tree.isAttached(node));
  }

  #gather(node: Node, delayMs: number): void {
    clearTimeout(this.#gathering.get(node));
    const timer = setTimeout(() => {
      this.#context.background.start("patch", () => this.#flushLater(node));
    }, delayMs);
    this.#gathering.set(node, timer);
  }

  /** As `flush`; trouble with the bucket is waited out. */
  async #flushLater(node: Node): Promise<void> {
    try {
      await this.flush(node);
    } catch (error) {
      if (node.patchOwed) this.#gather(node, RETRY_MS);
      throw error;
    } finally {
      if (!node.patchOwed) this.#owing.delete(node);
    }
  }

  async #send(node: Node, target: Target, metadata: Record<string, string | null>): Promise<void> {
    const { bucket, tree, log, owed } = this.#context;
    try {
      const patched = await bucket.patch(target.name, target.version, { metadata });
      if (isDirectory(node)) node.placeholder = patched.value;
      tree.confirmOwn(node, patched.value, patched.dateMs);
      this.#context.witness().attributesChanged(node);
      if (!isDirectory(node) && "copy" in node && node.copy !== undefined) node.copy.version = patched.value;
    } catch (error) {
      if (isTransient(error)) throw error;
      node.confirmed = undefined;
      this.#context.witness().attributesChanged(node);
      log.warn({ object: target.name, err: error }, "attributes not stored");
      if (isBucketError(error, "precondition-failed", "not-found")) return; // changed elsewhere meanwhile
      node.patchOwed = false;
      this.#owing.delete(node);
      await owed.patchDone(target.name);
      throw error;
    }
  }

  /**
   * Afterwards the folder has an object. True if it was made now, with the folder's attributes; false if it was there, and
   * only nobody had looked: a large folder is known by what is in it.
   */
  async #ensurePlaceholder(directory: DirectoryNode): Promise<boolean> {
    const { bucket, tree } = this.#context;
    try {
      await this.writePlaceholder(directory);
      return true;
    } catch (error) {
      if (!isBucketError(error, "precondition-failed")) throw error;
      directory.placeholder = (await bucket.stat(tree.objectName(directory))).value;
      return false;
    }
  }

  /** A folder exists in the bucket by its own object `name/`, with its attributes. */
  async writePlaceholder(
    directory: DirectoryNode,
    operationId = this.#context.nextOperationId(),
  ): Promise<void> {
    const { bucket, tree, directoryDefaults } = this.#context;
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
        { operationId },
      );
      directory.placeholder = placed.value;
      directory.patchOwed = false;
      tree.confirmOwn(directory, placed.value, placed.dateMs);
    } finally {
      endChange?.();
    }
  }

  /** What is owed is recorded for an object. A folder without one gets it now, with these attributes. */
  async #madePlaceholder(directory: DirectoryNode): Promise<boolean> {
    return directory.changes.run(async () => {
      if (this.#target(directory) !== undefined || !this.#context.tree.isAttached(directory)) return false;
      try {
        const made = await this.#ensurePlaceholder(directory);
        if (made) this.#owing.delete(directory);
        return made;
      } catch (error) {
        this.#gather(directory, RETRY_MS); // programs see it set, though they were told that it failed
        throw error;
      }
    });
  }

  #target(node: Node): Target | undefined {
    const object = isDirectory(node) ? node.placeholder : node.version;
    if (object === undefined || object === "absent") return undefined;
    return { name: this.#context.tree.objectName(node), version: object };
  }

  #rowFor(node: Node, { name, version }: Target): OwedPatch {
    return { object: name, generation: version.generation, metadata: this.#metadata(node) };
  }

  #metadata(node: Node): Record<string, string | null> {
    const defaults = isDirectory(node) ? this.#context.directoryDefaults : this.#context.fileDefaults;
    return encodeAttributes(storedAttributes(node), defaults);
  }
}

/** Whether the patch was recorded for a name that a rename was to bring its version to. */
function isComing({ content }: OwedPatch): boolean {
  return content !== undefined;
}

/** Whether a version is the one that a patch was recorded for, or what a rename has made of it. */
function isMeant(version: ObjectInfo, patch: OwedPatch, unmoved: ReadonlySet<bigint>): boolean {
  const { generation, content } = patch;
  if (version.generation === generation) return true;
  return !unmoved.has(generation) && version.generation > generation && content === contentOf(version);
}

/** Whether the same request may work later. */
function isTransient(error: unknown): boolean {
  return isBucketError(error, "unavailable", "deadline", "throttled", "unauthenticated");
}
