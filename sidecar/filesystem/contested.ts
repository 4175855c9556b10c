// Names whose versions change faster than they can be opened.
//
// An open that learns of a newer version answers ESTALE, and the kernel looks the name up and opens once more, but
// only once (RULES 24). Where that second try could fail too, the look-up itself fetches what it found, so that the
// open that follows has one whole version to show, even if that is no longer the newest.

import { setTimeout as delay } from "node:timers/promises";
import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Lookup } from "./lookup.ts";
import { isFile, type DirectoryNode, type FileNode, type Node } from "./nodes.ts";
import type { OpenFiles } from "./open-files.ts";
import { FETCH_WHOLE_BYTES } from "./sizes.ts";

/** From the open that failed to the look-up that follows it. */
const REMEMBER_MS = 2000;
/** From the look-up to the open that follows it. */
const HOLD_MS = 1000;
const FETCH_ATTEMPTS = 20;
/** How often it is looked whether what is appended here has been uploaded. */
const LOOK_MS = 10;

export class Contested {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #openFiles: OpenFiles;
  /** By folder and name: when that is forgotten again. */
  readonly #names = new Map<string, number>();

  constructor(context: Context, lookup: Lookup, openFiles: OpenFiles) {
    this.#context = context;
    this.#lookup = lookup;
    this.#openFiles = openFiles;
  }

  /** Runs an open; remembers the name if it learned of a newer version. */
  async watch<T>(node: Node, open: () => Promise<T>): Promise<T> {
    const { parent, name } = node;
    try {
      return await open();
    } catch (error) {
      if (isStale(error) && parent !== undefined) this.#remember(parent, name);
      throw error;
    }
  }

  /** The node a look-up found; where the name is contested, it or a later one of the name, its bytes here. */
  async settle(parent: DirectoryNode, found: Node): Promise<Node> {
    if (!this.#isContested(parent, found.name)) return found;
    const node = isFile(found) && found.local ? await this.#hold(parent, found) : found;
    return this.bringBytes(parent, node, (each) => this.#openFiles.fetch(each, HOLD_MS));
  }

  /**
   * What is being written here may lose its name before the open that follows, and would lose its bytes with that. Of what is
   * only appended to, the rest is in the bucket; if it is gone from there, the upload will have the name stand for something newer.
   */
  async #hold(parent: DirectoryNode, found: FileNode): Promise<Node> {
    const { monotonicMs } = this.#context;
    const endMs = monotonicMs() + HOLD_MS;
    let node: Node = found;
    while (isFile(node) && node.local) {
      node.heldUntilMs = monotonicMs() + HOLD_MS;
      if (node.copy?.whole !== false || (node.version?.size ?? 0) > FETCH_WHOLE_BYTES) break;
      try {
        await this.#openFiles.fetch(node, HOLD_MS);
        break;
      } catch (error) {
        // What else is wrong the open says, if it still is.
        if (!(isStale(error) || isBucketError(error, "aborted")) || monotonicMs() >= endMs) break;
      }
      await Promise.race([node.changes.run(() => delay(LOOK_MS)), delay(HOLD_MS, undefined, { ref: false })]);
      node = await this.#lookup.require(parent, found.name);
    }
    return node;
  }

  /** The node, or a later one of the same name, with its bytes here, as far as `fetch` brings them at once. */
  async bringBytes(
    parent: DirectoryNode,
    found: Node,
    fetch: (node: FileNode) => Promise<void>,
  ): Promise<Node> {
    let node: Node = found;
    for (let attempt = 0; attempt < FETCH_ATTEMPTS; attempt += 1) {
      if (!isFile(node) || node.local || (node.version?.size ?? 0) > FETCH_WHOLE_BYTES) return node;
      try {
        await fetch(node);
        return node;
      } catch (error) {
        if (!isStale(error) && !isBucketError(error, "aborted")) throw error; // aborted: about to be written here
        node.confirmed = undefined;
        node = await this.#lookup.require(parent, found.name);
      }
    }
    return node;
  }

  #remember(parent: DirectoryNode, name: string): void {
    const now = this.#context.monotonicMs();
    for (const [key, endMs] of this.#names) if (endMs < now) this.#names.delete(key);
    this.#names.set(`${parent.id}/${name}`, now + REMEMBER_MS);
  }

  /**
   * The kernel may look the name up twice before that one try: once to see that the old node is stale, and once more for the
   * new one. Both must lead to bytes that are here.
   */
  #isContested(parent: DirectoryNode, name: string): boolean {
    const endMs = this.#names.get(`${parent.id}/${name}`);
    return endMs !== undefined && endMs > this.#context.monotonicMs();
  }
}

export function isStale(error: unknown): boolean {
  return error instanceof FileSystemError && error.code === "ESTALE";
}
