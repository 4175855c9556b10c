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

interface Watch {
  timer?: NodeJS.Timeout;
  /** Until the next try after a failure. */
  retryMs: number;
  /** Why the last try failed. */
  error?: unknown;
}

export class LateStores {
  readonly #context: Context;
  readonly #saver: Saver;
  readonly #watched = new Map<FileNode, Watch>();

  constructor(context: Context, saver: Saver) {
    this.#context = context;
    this.#saver = saver;
  }

  /** Somebody reads the file, and nobody has it open for writing. */
  watch(node: FileNode): void {
    if (this.#watched.has(node) || node.version === undefined || !mayHaveChanged(node)) return;
    const watch = { retryMs: LOOK_MS };
    this.#watched.set(node, watch);
    this.#lookAfter(FIRST_LOOK_MS, node, watch);
  }

  /** Whether the file is one of those whose changes no close will bring to the bucket. */
  isWatching(node: FileNode): boolean {
    return this.#watched.has(node);
  }

  stop(): void {
    for (const { timer } of this.#watched.values()) clearTimeout(timer);
    this.#watched.clear();
  }

  #lookAfter(delayMs: number, node: FileNode, watch: Watch): void {
    watch.timer = setTimeout(
      () => this.#context.background.start("look for late stores", () => this.#look(node, watch)),
      delayMs,
    );
  }

  async #look(node: FileNode, watch: Watch): Promise<void> {
    if (this.#isLeftToReaders(node, watch)) await this.#saveIfChanged(node, watch);
    if (this.#watched.get(node) !== watch) return; // stopped
    if (!this.#isLeftToReaders(node, watch) || !mayHaveChanged(node)) {
      this.#watched.delete(node);
      return;
    }
    this.#lookAfter(watch.error === undefined ? LOOK_MS : watch.retryMs, node, watch);
    watch.retryMs = watch.error === undefined ? LOOK_MS : Math.min(2 * watch.retryMs, RETRY_MAX_MS);
  }

  async #saveIfChanged(node: FileNode, watch: Watch): Promise<void> {
    const { owing, log } = this.#context;
    watch.error = undefined;
    try {
      if (!(await this.#saver.changed(node))) return;
      node.contentSerial += 1;
      await (owing()?.acknowledge(node, true) ?? this.#saver.save(node));
    } catch (error) {
      watch.error = error;
      const { name } = node;
      log.error({ object: name, err: error }, "a change after the last close could not be uploaded");
    }
  }

  /**
   * Once a program may write to it again, that program's close stores it; without readers, Resting does. What a close could not
   * store, its program knows of, and nobody tries again (RULES 10).
   */
  #isLeftToReaders(node: FileNode, { error }: Watch): boolean {
    const { copy, opened, writers, saveError, conflict } = node;
    if (copy?.retired !== false || opened.size === 0 || writers > 0) return false;
    if (saveError !== undefined && saveError !== error) return false;
    return conflict !== undefined || this.#context.tree.isAttached(node);
  }
}

/** Whether its copy may differ from what the bucket has, or may come to do so through a mapping. */
function mayHaveChanged({ copy }: FileNode): boolean {
  return copy?.changedUnseen === true || copy?.dirty === true;
}
