// The read cache's order: clean copies that nobody has open, the least recently used first to go.

import { LRUCache } from "lru-cache";
import type { Copy } from "./copy.ts";

/** Each is remembered in memory: of a cache full of small files, these are kept. */
const RESTING_MAX = 200_000;

/** What the cache knows of a clean copy nobody has open. */
interface Resting {
  readonly bytes: number;
  /** Gone for copies that nobody remembers, and absent for those of an earlier run that nobody has used in this one. */
  readonly copy?: WeakRef<Copy>;
}

export class RestingCopies {
  readonly #order: LRUCache<string, Resting>;
  readonly #evict: (id: string, copy: Copy | undefined) => void;
  /** Of the size, what others have taken. */
  #takenBytes = 0;

  /** `evict` is called for each that has to go for want of space. */
  constructor(sizeBytes: number, evict: (id: string, copy: Copy | undefined) => void) {
    this.#evict = evict;
    // Without `max`: room for so many would be made at once, which takes longer than all else a new worker does (RULES 20).
    this.#order = new LRUCache({
      maxSize: Math.max(1, sizeBytes),
      maxEntrySize: Math.max(1, sizeBytes),
      sizeCalculation: ({ bytes }) => Math.max(1, bytes),
      dispose: ({ copy }, id, reason) => {
        if (reason === "evict") evict(id, copy?.deref());
      },
    });
  }

  get usedBytes(): number {
    return this.#order.calculatedSize;
  }

  get limitBytes(): number {
    return Math.max(0, this.#order.maxSize - this.#takenBytes);
  }

  has(id: string): boolean {
    return this.#order.has(id);
  }

  /** The copy was used just now. */
  add(copy: Copy, bytes: number): void {
    this.#order.set(copy.id, { bytes, copy: new WeakRef(copy) });
    if (!this.#order.has(copy.id)) this.#evict(copy.id, copy); // larger than the whole cache
    this.#makeRoom();
  }

  /** Copies from an earlier run are all older than anything used in this one: no room means they go. */
  addOlder(id: string, bytes: number): void {
    const full = this.#order.size >= RESTING_MAX || this.usedBytes + bytes > this.limitBytes;
    if (full) this.#evict(id, undefined);
    else this.#order.set(id, { bytes });
  }

  remove(id: string): void {
    this.#order.delete(id);
  }

  /** Others have taken so much of the size. */
  leaveRoom(takenBytes: number): void {
    this.#takenBytes = takenBytes;
    this.#makeRoom();
  }

  /** Lets copies go until so much disk is given back, as far as there are any. Answers how much that is. */
  release(wantedBytes: number): number {
    const before = this.usedBytes;
    while (this.#order.size > 0 && before - this.usedBytes < wantedBytes) this.#order.pop();
    return before - this.usedBytes;
  }

  #makeRoom(): void {
    while (this.#order.size > RESTING_MAX || (this.#order.size > 0 && this.usedBytes > this.limitBytes))
      this.#order.pop();
  }
}
