// Which version of a file those who have just opened it got.
//
// To the kernel a name is one file through libfuse 2, also after somebody else has replaced its object, and `fstat` of
// an open file asks for the attributes of its name. A program that opens a file, asks how long it is and reads that
// much would get the bytes of one version and the length of another. So for a moment after an open the name keeps the
// attributes of what was opened, and an open that brings another version waits until the moment is over.

import { setTimeout as delay } from "node:timers/promises";

import type { InodeId } from "../../filesystem/filesystem.ts";
import { Turn } from "../../lib/turn.ts";
import type { Place } from "./paths.ts";

/** From an open to the `fstat` that follows it. As long as the trust rule shares one confirmation anyway. */
const MOMENT_MS = 100;

interface Opened {
  inode: InodeId;
  lastMs: number;
  /** Open handles of that inode. */
  handles: number;
  readonly turn: Turn;
}

export class OpenVersions {
  readonly #nowMs: () => number;
  readonly #opened = new Map<string, Opened>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** What the name stands for although the file system may know a newer version; undefined if it decides. */
  inodeOf(place: Place): InodeId | undefined {
    const opened = this.#opened.get(keyOf(place));
    return opened !== undefined && this.#isRecent(opened) ? opened.inode : undefined;
  }

  /** Notes an open of the name, when those before it have had their moment. Call the result when it is closed. */
  async admit(place: Place, inode: InodeId): Promise<() => void> {
    const key = keyOf(place);
    const opened = this.#opened.get(key) ?? { inode, lastMs: 0, handles: 0, turn: new Turn() };
    this.#opened.set(key, opened);
    await opened.turn.run(async () => {
      while (opened.inode !== inode && this.#isRecent(opened))
        await delay(MOMENT_MS - (this.#nowMs() - opened.lastMs));
      if (opened.inode !== inode) Object.assign(opened, { inode, handles: 0 });
      opened.lastMs = this.#nowMs();
      opened.handles += 1;
    });
    return () => this.#close(key, opened, inode);
  }

  /** The name stands for something else by what was done here. */
  drop(place: Place): void {
    this.#opened.delete(keyOf(place));
  }

  #isRecent(opened: Opened): boolean {
    return opened.handles > 0 && this.#nowMs() < opened.lastMs + MOMENT_MS;
  }

  #close(key: string, opened: Opened, inode: InodeId): void {
    if (opened.inode !== inode) return;
    opened.handles -= 1;
    if (opened.handles === 0 && this.#opened.get(key) === opened && !opened.turn.busy)
      this.#opened.delete(key);
  }
}

function keyOf({ folder, name }: Place): string {
  return `${folder}/${name}`;
}
