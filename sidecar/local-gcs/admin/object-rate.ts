// The service's limit on how often one object may be written, off unless a test turns it on.

import { ApiError } from "../api-error.ts";

// Names not written for a while are forgotten once there are this many.
const maxRemembered = 10_000;

export class ObjectRate {
  #writesPerSecond: number | undefined;
  readonly #lastWriteMs = new Map<string, number>();

  /** Undefined: no limit. */
  set writesPerSecond(limit: number | undefined) {
    this.#writesPerSecond = limit;
    this.#lastWriteMs.clear();
  }

  /** Counts a write to an object, or refuses it with 429. */
  check(bucket: string, object: string): void {
    if (this.#writesPerSecond === undefined) return;
    const key = `${bucket}/${object}`;
    const nowMs = performance.now();
    const lastMs = this.#lastWriteMs.get(key) ?? -Infinity;
    if (nowMs - lastMs < 1000 / this.#writesPerSecond) {
      const message = `The object ${key} exceeded the rate limit for object mutation operations (create, update, and delete).`;
      throw new ApiError(429, "rateLimitExceeded", message);
    }
    this.#lastWriteMs.delete(key);
    this.#lastWriteMs.set(key, nowMs);
    const [oldest] = this.#lastWriteMs.keys();
    if (this.#lastWriteMs.size > maxRemembered && oldest !== undefined) this.#lastWriteMs.delete(oldest);
  }
}
