// Files that lose their name while somebody has them open.
//
// libfuse 2 finds its files by name, so it does not unlink such a file: it renames it to `.fuse_hidden…` in the same
// folder, goes on under that name, and unlinks that after the last close. Before another file is renamed onto it, it
// does the same. In a bucket this would be an object, and a moment in which the name has none. So nothing is renamed:
// the hidden name leads to the inode, here only, and what was meant shows in what the same thread does next. If it
// renames another file to the name, the file system replaces the one by the other at once. If it does anything else,
// or nothing for a while, it was an unlink, which is carried out then. Until then the name is shown as gone.

import { setImmediate as turnOfLoop, setTimeout as delay } from "node:timers/promises";

import { FileSystemError } from "../../filesystem/errors.ts";
import type { InodeId } from "../../filesystem/filesystem.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Place } from "./paths.ts";

const HIDDEN_NAME = /^\.fuse_hidden[0-9a-f]{16}$/;

/** How long a thread of libfuse may take from hiding a file to the rename it did that for. */
const PATIENCE_MS = 100;

export function isHiddenName(name: string): boolean {
  return HIDDEN_NAME.test(name);
}

/** A name that was taken from an open file and still has its object. */
export interface Leaving {
  readonly place: Place;
  readonly thread: Buffer;
  unlinking: Promise<void> | undefined;
  /** A rename is finding out whether it is what the name was taken for. */
  held: boolean;
}

export class HiddenFiles {
  readonly #unlink: (place: Place) => Promise<void>;
  readonly #log: Log;
  /** By hidden name: libfuse gives each only once while a mount lives. */
  readonly #inodes = new Map<string, InodeId>();
  readonly #leaving = new Map<string, Leaving>();
  readonly #byThread = new Map<Buffer, Leaving>();
  #refusing = false;

  constructor(unlink: (place: Place) => Promise<void>, log: Log) {
    this.#unlink = unlink;
    this.#log = log;
  }

  /** The inode a hidden name leads to; undefined for all other names. ENOENT for names that are gone. */
  inodeOf(place: Place): InodeId | undefined {
    if (isHiddenName(place.name)) return this.inodeOfName(place.name);
    if (this.#leaving.size > 0 && this.isGone(place)) throw new FileSystemError("ENOENT", `no ${place.name}`);
    return undefined;
  }

  /** As `inodeOf`, of a hidden name alone: its folder may be gone. */
  inodeOfName(hiddenName: string): InodeId {
    const inode = this.#inodes.get(hiddenName);
    if (inode === undefined) throw new FileSystemError("ENOENT", `no ${hiddenName}`);
    return inode;
  }

  /** Whether the file system still shows a name that no program may see. */
  isGone(place: Place): boolean {
    return this.#leaving.has(keyOf(place));
  }

  /** From now on names stay: nothing can be changed any more, and an unlink could not say so later. */
  refuse(): void {
    this.#refusing = true;
  }

  /** `thread` renames the open file `inode` from `place` to `hiddenName`. */
  hide(thread: Buffer, place: Place, hiddenName: string, inode: InodeId): void {
    if (this.#refusing) throw new FileSystemError("EROFS", "the mount is being stopped");
    this.#inodes.set(hiddenName, inode);
    const leaving: Leaving = { place, thread, unlinking: undefined, held: false };
    this.#leaving.set(keyOf(place), leaving);
    this.#byThread.set(thread, leaving);
    void this.#unlinkLater(leaving);
  }

  /** libfuse gives up a hidden name. */
  async reveal(hiddenName: string, thread: Buffer): Promise<void> {
    this.#inodes.delete(hiddenName);
    await this.nextOf(thread);
  }

  /**
   * `thread` begins to rename something to this name, in whatever folder. If it may have hidden a file for that,
   * nothing happens to the file until `letGo`, however long the way to the folder takes.
   */
  hold(thread: Buffer, name: string): Leaving | undefined {
    const leaving = this.#byThread.get(thread);
    if (leaving === undefined || leaving.unlinking !== undefined) return undefined;
    if (leaving.place.name === name) leaving.held = true;
    else void this.#unlinkNow(leaving);
    return leaving.held ? leaving : undefined;
  }

  /** The rename is to `place`: true if the file was hidden for it, and is to be replaced. */
  isReplacing(held: Leaving | undefined, place: Place): boolean {
    if (held === undefined || held.unlinking !== undefined) return false;
    if (keyOf(held.place) === keyOf(place)) {
      this.#forget(held);
      return true;
    }
    void this.#unlinkNow(held);
    return false;
  }

  /** The rename has ended. Where it could not even find its folder, the file keeps its name. */
  letGo(held: Leaving | undefined): void {
    if (held !== undefined && held.unlinking === undefined) this.#forget(held);
  }

  /** `thread` does something else than a rename to the name of what it has hidden: that was an unlink. */
  async nextOf(thread: Buffer): Promise<void> {
    const leaving = this.#byThread.get(thread);
    if (leaving !== undefined) await this.#unlinkNow(leaving);
  }

  /** To be awaited before a name is given to something else. */
  async settle(place: Place): Promise<void> {
    const leaving = this.#leaving.get(keyOf(place));
    if (leaving !== undefined) await this.#unlinkNow(leaving);
  }

  /** To be awaited before a folder is removed, and (without one) before the end. */
  async settleAll(folder?: InodeId): Promise<void> {
    const all = [...this.#leaving.values()];
    const wanted = folder === undefined ? all : all.filter(({ place }) => place.folder === folder);
    await Promise.all(wanted.map((leaving) => this.#unlinkNow(leaving)));
  }

  async #unlinkLater(leaving: Leaving): Promise<void> {
    await delay(PATIENCE_MS, undefined, { ref: false });
    await turnOfLoop(); // what has come meanwhile is heard first
    if (leaving.held) return;
    if (this.#leaving.get(keyOf(leaving.place)) === leaving) await this.#unlinkNow(leaving);
  }

  #unlinkNow(leaving: Leaving): Promise<void> {
    leaving.unlinking ??= this.#unlink(leaving.place)
      .catch((error: unknown) => {
        // Its program was told that it is done: libfuse has no way to say otherwise.
        this.#log.warn(
          { name: leaving.place.name, err: error },
          "a file could not be unlinked while it was open; its name shows again",
        );
      })
      .finally(() => this.#forget(leaving));
    return leaving.unlinking;
  }

  #forget(leaving: Leaving): void {
    if (this.#leaving.get(keyOf(leaving.place)) === leaving) this.#leaving.delete(keyOf(leaving.place));
    if (this.#byThread.get(leaving.thread) === leaving) this.#byThread.delete(leaving.thread);
  }
}

function keyOf({ folder, name }: Place): string {
  return `${folder}/${name}`;
}
