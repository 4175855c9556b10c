// Which version of a file those who have just opened it got.
//
// To the kernel a name is one file through libfuse 2, also after somebody else has replaced its object, and `fstat` of
// an open file asks for the attributes of its name. A program that opens a file, asks how long it is and reads that
// much would get the bytes of one version and the length of another. So for a moment after an open the name keeps the
// attributes of what was opened, and an open that brings another version waits until the moment is over.
//
// The pages of a name are shared too. Whoever has an older version open can bring its bytes into them by a mapping, and
// a writer of the newer one would take them for its own. So it is known which versions of a name are open.

import { setTimeout as delay } from "node:timers/promises";

import type { InodeId } from "../../filesystem/filesystem.ts";
import { Turn } from "../../lib/turn.ts";
import type { Place } from "./paths.ts";

/** From an open to the `fstat` that follows it. As long as the trust rule shares one confirmation anyway. */
const MOMENT_MS = 100;

interface Opened {
  /** Its place among the others. */
  key: string;
  /** What was opened last. */
  inode: InodeId;
  lastMs: number;
  /** How many handles are open of each version. */
  readonly handles: Map<InodeId, number>;
  readonly turn: Turn;
}

export interface Admitted {
  /** Another version of this name is open too. */
  readonly besideOthers: boolean;
  /** To be called when it is closed. */
  readonly onClose: () => void;
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

  /** What those have open who opened the name last; undefined if nobody has it open. */
  openInode(place: Place): InodeId | undefined {
    const opened = this.#opened.get(keyOf(place));
    return opened?.handles.has(opened.inode) === true ? opened.inode : undefined;
  }

  /** Notes an open of the name, when those before it have had their moment. */
  async admit(place: Place, inode: InodeId): Promise<Admitted> {
    const key = keyOf(place);
    const opened: Opened = this.#opened.get(key) ?? {
      key,
      inode,
      lastMs: 0,
      handles: new Map(),
      turn: new Turn(),
    };
    this.#opened.set(key, opened);
    await opened.turn.run(async () => {
      while (opened.inode !== inode && this.#isRecent(opened))
        await delay(MOMENT_MS - (this.#nowMs() - opened.lastMs));
      opened.inode = inode;
      opened.lastMs = this.#nowMs();
      opened.handles.set(inode, (opened.handles.get(inode) ?? 0) + 1);
    });
    return { besideOthers: opened.handles.size > 1, onClose: () => this.#close(opened, inode) };
  }

  /** The name stands for something else, or for nothing, by what was done here. */
  drop(place: Place): void {
    this.#opened.delete(keyOf(place));
  }

  /** What is open goes on under another name, in place of what had that. */
  rename(from: Place, to: Place): void {
    const opened = this.#opened.get(keyOf(from));
    this.drop(from);
    this.drop(to);
    if (opened === undefined) return;
    opened.key = keyOf(to);
    this.#opened.set(opened.key, opened);
  }

  #isRecent(opened: Opened): boolean {
    return opened.handles.has(opened.inode) && this.#nowMs() < opened.lastMs + MOMENT_MS;
  }

  #close(opened: Opened, inode: InodeId): void {
    const others = (opened.handles.get(inode) ?? 1) - 1;
    if (others > 0) opened.handles.set(inode, others);
    else opened.handles.delete(inode);
    const unused = opened.handles.size === 0 && !opened.turn.busy;
    if (unused && this.#opened.get(opened.key) === opened) this.#opened.delete(opened.key);
  }
}

function keyOf({ folder, name }: Place): string {
  return `${folder}/${name}`;
}
