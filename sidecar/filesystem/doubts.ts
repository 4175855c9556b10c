// Names that have changed elsewhere, as somebody said while questions about them were still to be answered.
//
// The answer to such a question may show what was before, and would then be trusted for as long as its age allows. It
// is taken in all the same, but not trusted.

import type { DirectoryNode } from "./nodes.ts";

/** The names of a folder as a whole: which there are. No name has a slash. */
export const EVERY_NAME = "/";

/** Above this many it is said of everything instead. */
const DOUBTS_MAX = 10_000;

export class Doubts {
  readonly #names = new Map<DirectoryNode, Map<string, number>>();
  #count = 0;
  #everythingBefore = 0;

  /** How many there are. */
  get size(): number {
    return this.#count;
  }

  /** What was asked before `serial` may show what was before a change. */
  add(directory: DirectoryNode, name: string, serial: number): void {
    if (this.#count >= DOUBTS_MAX) {
      this.clear();
      this.#everythingBefore = serial;
      return;
    }
    const names = this.#names.get(directory) ?? new Map<string, number>();
    this.#names.set(directory, names);
    if (!names.has(name)) this.#count += 1;
    names.set(name, serial);
  }

  /** Whether that was said of a name, or of a folder above that was not known, since `serial`. */
  since(directory: DirectoryNode, name: string, serial: number): boolean {
    if (serial < this.#everythingBefore) return true;
    if (this.#count === 0) return false;
    let last = name;
    for (let above: DirectoryNode | undefined = directory; above !== undefined; above = above.parent) {
      if ((this.#names.get(above)?.get(last) ?? 0) > serial) return true;
      last = above.name;
    }
    return false;
  }

  /** No question is under way. */
  clear(): void {
    this.#names.clear();
    this.#count = 0;
  }
}
