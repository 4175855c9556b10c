// Writes workers' notifications of names to the kernel (RULES 27).
//
// One may wait there for a folder's lock, which a request holds that a worker has to answer, and while it waits nothing ends
// its thread. In a worker, that kept it from being gone when it was killed, so that no other took over. Here it lasts until the
// next worker has answered, or the mount is gone.

import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Of the pool's four threads, so that one is left for whatever else this process does. */
const IN_FLIGHT_MAX = 3;
const LOOK_AGAIN_MS = 20;

interface Waiting {
  readonly device: number;
  readonly bytes: Buffer;
  /** With the error's code, if it was refused. */
  readonly done: (code?: string) => void;
}

export class NameNotifications {
  readonly #waiting: Waiting[] = [];
  #inFlight = 0;

  write(device: number, bytes: Buffer, done: (code?: string) => void): void {
    this.#waiting.push({ device, bytes, done });
    this.#next();
  }

  /** To be called before a device is closed, when no worker is left: resolves when none is in the kernel, or after `limitMs`. */
  async end(limitMs: number): Promise<void> {
    this.#waiting.length = 0;
    const endMs = performance.now() + limitMs;
    while (this.#inFlight > 0 && performance.now() < endMs) await delay(LOOK_AGAIN_MS);
  }

  #next(): void {
    if (this.#inFlight >= IN_FLIGHT_MAX) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#inFlight += 1;
    fs.write(next.device, next.bytes, 0, next.bytes.length, null, (error) => {
      this.#inFlight -= 1;
      next.done(error?.code);
      this.#next();
    });
  }
}
