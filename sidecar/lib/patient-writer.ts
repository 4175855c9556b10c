// Lines for a descriptor whose reader may be slow, or gone: whoever writes never waits for it.
//
// What the reader has no room for is kept for a while, and beyond that dropped and counted; a service that hangs because
// nobody reads its log would be worse than a log with a gap. The descriptor is shared with other processes, so it is not
// made non-blocking: it is asked before each write whether it takes one.

import fs from "node:fs";
import { isWritable } from "./system-calls.ts";

/** What a pipe takes as a whole without waiting once it counts as writable: PIPE_BUF, pipe(7). */
const PIECE_BYTES = 4096;
const KEPT_BYTES_MAX = 1 << 20;
const LOOK_AGAIN_MS = 20;
/** At the end of the process a reader that is only slow gets the rest. */
const PATIENCE_AT_EXIT_MS = 2000;

export class PatientWriter {
  readonly #descriptor: number;
  readonly #lost: (lines: number) => string;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #lostLines = 0;
  #waiting = false;

  /** `lost` makes the line that stands for those that were dropped. */
  constructor(descriptor: number, lost: (lines: number) => string) {
    this.#descriptor = descriptor;
    this.#lost = lost;
    process.once("exit", () => this.#writeRest());
  }

  /** `line` ends with its line feed. */
  write(line: string): void {
    if (this.#keptBytes + line.length > KEPT_BYTES_MAX) {
      this.#lostLines += 1;
      return;
    }
    this.#keep(line);
    this.#writeSome();
  }

  #keep(line: string): void {
    const bytes = Buffer.from(line);
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
  }

  #writeSome(): void {
    while (this.#kept.length > 0 && this.#writePiece());
    if (this.#kept.length === 0 || this.#waiting) return;
    this.#waiting = true;
    const lookAgain = (): void => {
      this.#waiting = false;
      this.#writeSome();
    };
    setTimeout(lookAgain, LOOK_AGAIN_MS).unref();
  }

  /** False if the reader has no room just now. */
  #writePiece(): boolean {
    const first = this.#kept[0];
    if (first === undefined || !isWritable(this.#descriptor)) return false;
    try {
      const written = fs.writeSync(this.#descriptor, first, 0, Math.min(first.length, PIECE_BYTES));
      this.#keptBytes -= written;
      if (written < first.length) this.#kept[0] = first.subarray(written);
      else this.#kept.shift();
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") return false;
      [this.#kept, this.#keptBytes] = [[], 0]; // nobody will ever read it
      return false;
    }
    if (this.#kept.length === 0 && this.#lostLines > 0) {
      this.#keep(this.#lost(this.#lostLines));
      this.#lostLines = 0;
    }
    return true;
  }

  #writeRest(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (const endMs = Date.now() + PATIENCE_AT_EXIT_MS; this.#kept.length > 0 && Date.now() < endMs;)
      if (!this.#writePiece()) Atomics.wait(pause, 0, 0, LOOK_AGAIN_MS);
  }
}
