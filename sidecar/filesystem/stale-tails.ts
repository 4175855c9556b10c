// Tails of appends that were never removed: their mount was killed, or the bucket refused. Any mount of the same prefix
// deletes them when they are old (RULES 8); by then nobody can still want to put one behind an object.

import type { Context } from "./context.ts";
import { TAILS_FOLDER } from "./tails.ts";

const HOUR_MS = 3_600_000;
/** Older by the bucket's clock than any append can be under way. */
const STALE_AFTER_MS = 24 * HOUR_MS;
/** A mount that lives shorter leaves it to others: one listing each time. */
const FIRST_LOOK_MS = 5 * 60_000;
const LOOK_EVERY_MS = 6 * HOUR_MS;

export class StaleTails {
  readonly #context: Context;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Looks for them from now and then on. */
  watch(delayMs = FIRST_LOOK_MS): void {
    if (this.#context.readOnly) return;
    this.#timer = setTimeout(() => {
      this.#context.background.start("remove old tails", () => this.remove());
      this.watch(LOOK_EVERY_MS);
    }, delayMs);
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Deletes those that are old; answers how many. */
  async remove(): Promise<number> {
    const { bucket, tree, log } = this.#context;
    const prefix = tree.objectName(tree.root) + TAILS_FOLDER;
    let removed = 0;
    for (let pageToken: string | undefined; ;) {
      const page = await bucket.list({ prefix, ...(pageToken === undefined ? {} : { pageToken }) });
      for (const tail of page.objects) {
        if (page.dateMs - tail.createdMs < STALE_AFTER_MS) continue;
        if (await bucket.remove(tail.name, tail.generation)) removed += 1;
      }
      pageToken = page.nextPageToken;
      if (pageToken === undefined) break;
    }
    if (removed > 0) log.info({ removed }, "removed what unfinished appends had left in the bucket");
    return removed;
  }
}
