// What a program stores through a mapping after its close (RULES 1), while others go on reading the file. The kernel says nothing
// of it, or sends pages for which no close comes any more. Of a file that nobody has open, Resting takes care.

import type { Context } from "./context.ts";
import type { FileNode } from "./nodes.ts";
import type { Saver } from "./save.ts";

/** When a file is looked at first: most readers have closed it by then. */
const FIRST_LOOK_MS = 50;
/** How often a file that may be mapped is looked at again. */
const LOOK_MS = 1000;
/** After failures it is tried again less and less often, until at last this often. */
const RETRY_MAX_MS = 60_000;

export class LateStores {
  readonly #context: Context;
  readonly #saver: Saver;
  readonly #watched = new Map<FileNode, NodeJS.Timeout | undefined>();
  #stopped = false;

  constructor(context: Context, saver: Saver) {
    this.#context = context;
    this.#saver = saver;
  }

  /** Somebody reads the file, and nobody has it open for writing. */
  watch(node: FileNode): void {
    const { copy, saveError, version } = node;
    if (copy?.changedUnseen !== true && copy?.dirty !== true) return; // where it is neither, no mapping can be stored through
    if (saveError !== undefined || version === undefined) return; // a close failed: RULES 10
    if (!this.#watched.has(node)) this.#lookAfter(node, FIRST_LOOK_MS, LOOK_MS);
  }

  /** Whether the file is one of those whose changes no close will bring to the bucket. */
  isWatching(node: FileNode): boolean {
    return this.#watched.has(node);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#watched.values()) clearTimeout(timer);
    this.#watched.clear();
  }

  #lookAfter(node: FileNode, delayMs: number, nextMs: number): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#watched.set(node, undefined);
      this.#context.background.start("look for late stores", () => this.#look(node, nextMs));
    }, delayMs);
    this.#watched.set(node, timer);
  }

  /** Looks again in `nextMs`, or after a failure, if the file may still be stored to. */
  async #look(node: FileNode, nextMs: number): Promise<void> {
    const stored = this.#isLeftToReaders(node) ? await this.#saveIfChanged(node) : true;
    if (!this.#isLeftToReaders(node) || (stored && node.copy?.changedUnseen !== true)) {
      this.#watched.delete(node);
      return;
    }
    if (stored) this.#lookAfter(node, LOOK_MS, LOOK_MS);
    else this.#lookAfter(node, nextMs, Math.min(2 * nextMs, RETRY_MAX_MS));
  }

  /** Whether all that was stored is in the bucket, or acknowledged. */
  async #saveIfChanged(node: FileNode): Promise<boolean> {
    const { owing, log } = this.#context;
    try {
      if (!(await this.#saver.changed(node))) return true;
      node.contentSerial += 1;
      await (owing()?.acknowledge(node, true) ?? this.#saver.save(node));
      return true;
    } catch (error) {
      const { name } = node;
      log.error({ object: name, err: error }, "a change after the last close could not be uploaded");
      return false;
    }
  }

  /** Once a program may write to it again, that program's close stores it; without readers, Resting does. */
  #isLeftToReaders(node: FileNode): boolean {
    const named = node.conflict !== undefined || this.#context.tree.isAttached(node);
    return named && node.copy !== undefined && node.opened.size > 0 && node.writers === 0;
  }
}
