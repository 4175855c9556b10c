// The line between server and clients, made as long and as thin as a test wants it.
//
// The bandwidth is that of the line, shared by all connections, and counted apart for each direction.

import { setTimeout as delay } from "node:timers/promises";

export class Link {
  latencyMs = 0;
  bytesPerSecond: number | undefined;
  readonly #freeAtMs = { up: 0, down: 0 };

  get isNarrow(): boolean {
    return this.bytesPerSecond !== undefined;
  }

  /** Waits as long as a request takes to arrive and its answer to get back. */
  async travel(): Promise<void> {
    if (this.latencyMs > 0) await delay(this.latencyMs);
  }

  /** Waits until the line has carried `bytes` more. */
  async carry(direction: "up" | "down", bytes: number): Promise<void> {
    if (this.bytesPerSecond === undefined) return;
    const nowMs = performance.now();
    const doneAtMs = Math.max(nowMs, this.#freeAtMs[direction]) + (bytes / this.bytesPerSecond) * 1000;
    this.#freeAtMs[direction] = doneAtMs;
    if (doneAtMs > nowMs) await delay(doneAtMs - nowMs);
  }
}
