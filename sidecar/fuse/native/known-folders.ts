// Folders that a path walk need not look up again for as long as the file system says that a look-up stays right:
// what the kernel does for the device channel. Every operation passes through the folders of its path; a look-up of
// one costs more the more it holds.
//
// Each folder known here holds one look-up, which is given back when it is dropped.

import type { Entry, InodeId } from "../../filesystem/filesystem.ts";
import type { Place } from "./paths.ts";

const FOLDERS_MAX = 1000;

interface Known {
  readonly inode: InodeId;
  readonly untilMs: number;
}

export class KnownFolders {
  readonly #forget: (inode: InodeId) => void;
  readonly #nowMs: () => number;
  /** In the order of their look-ups. */
  readonly #known = new Map<string, Known>();

  constructor(forget: (inode: InodeId) => void, nowMs: () => number) {
    this.#forget = forget;
    this.#nowMs = nowMs;
  }

  find(place: Place): InodeId | undefined {
    const known = this.#known.get(keyOf(place));
    if (known === undefined) return undefined;
    if (this.#nowMs() < known.untilMs) return known.inode;
    this.drop(place);
    return undefined;
  }

  /** Takes over the look-up that an entry counts. False if it is none to be kept: then it stays the caller's. */
  keep(place: Place, entry: Entry): boolean {
    const { inode, kind } = entry.attributes;
    if (kind !== "directory" || entry.entryValidMs <= 0) return false;
    this.drop(place);
    this.#known.set(keyOf(place), { inode, untilMs: this.#nowMs() + entry.entryValidMs });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= FOLDERS_MAX) break;
      this.#dropKey(oldest);
    }
    return true;
  }

  /** The name stands for something else now, or for nothing. */
  drop(place: Place): void {
    this.#dropKey(keyOf(place));
  }

  clear(): void {
    for (const key of this.#known.keys()) this.#dropKey(key);
  }

  #dropKey(key: string): void {
    const known = this.#known.get(key);
    if (known === undefined) return;
    this.#known.delete(key);
    this.#forget(known.inode);
  }
}

function keyOf({ folder, name }: Place): string {
  return `${folder}/${name}`;
}
