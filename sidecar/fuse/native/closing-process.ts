// Which process closes an empty file: libfuse does not tell.
//
// It matters for one thing: a shell opens the file of `>`, duplicates the descriptor and closes the first one before
// anything is written. The file system does not upload that empty version if it can see that the process has another
// descriptor of the file. A process that has one is looked for here, among those that may be looked at.

import type { InodeId } from "../../filesystem/filesystem.ts";
import { findWriter, processes } from "../../lib/process-files.ts";

// Looking at one process takes about a millisecond of the pool, so not all are looked at each time. Who was found once
// will probably be found again, and a script's processes are young.
const REMEMBERED = 8;
const YOUNGEST = 12;
const ALL_EVERY_MS = 5000;

export class ClosingProcess {
  readonly #device: () => string | undefined;
  readonly #nowMs: () => number;
  /** Found before, the last one first. */
  #remembered: readonly number[] = [];
  #allAtMs = Number.NEGATIVE_INFINITY;

  /** `device`: the number of the mount, as mountinfo has it. */
  constructor(device: () => string | undefined, nowMs: () => number) {
    this.#device = device;
    this.#nowMs = nowMs;
  }

  /** A process that still has the file open for writing; 0 if none is found. */
  async of(inode: InodeId): Promise<number> {
    const device = this.#device();
    if (device === undefined) return 0;
    const writer = await findWriter(device, inode, await this.#candidates());
    if (writer === undefined) return 0;
    this.#remembered = [writer, ...this.#remembered.filter((pid) => pid !== writer)].slice(0, REMEMBERED);
    return writer;
  }

  async #candidates(): Promise<number[]> {
    const all = await processes();
    const everybody = this.#nowMs() > this.#allAtMs + ALL_EVERY_MS;
    if (everybody) this.#allAtMs = this.#nowMs();
    return [...new Set([...this.#remembered, ...(everybody ? all : all.slice(0, YOUNGEST))])];
  }
}
