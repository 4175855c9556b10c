// Names whose version was replaced elsewhere a moment ago: likely to be replaced again.

import type { DirectoryNode } from "../nodes.ts";

const REMEMBER_MS = 10_000;
/** Tidied up above this many. */
const NAMES_MAX = 10_000;

export class RecentlyReplaced {
  readonly #monotonicMs: () => number;
  /** By folder and name: until when. */
  readonly #names = new Map<string, number>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  note(parent: DirectoryNode, name: string): void {
    const now = this.#monotonicMs();
    this.#names.set(`${parent.id}/${name}`, now + REMEMBER_MS);
    if (this.#names.size <= NAMES_MAX) return;
    for (const [key, endMs] of this.#names) if (endMs < now) this.#names.delete(key);
    if (this.#names.size > NAMES_MAX) this.#names.clear(); // what is lost costs a reader its answer at worst
  }

  has(parent: DirectoryNode, name: string): boolean {
    if (this.#names.size === 0) return false;
    return (this.#names.get(`${parent.id}/${name}`) ?? 0) > this.#monotonicMs();
  }
}
