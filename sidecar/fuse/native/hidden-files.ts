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
interface Leaving {
  readonly place: Place;
  readonly thread: Buffer;
  unlinking: Promise<void> | undefined;
}

export class HiddenFiles {
  readonly #unlink: (place: Place) => Promise<void>;
  readonly #log: Log;
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
    if (this.#inodes.size + this.#leaving.size === 0 && !isHiddenName(place.name)) return undefined;
    const inode = this.#inodes.get(keyOf(place));
    if (inode === undefined && (isHiddenName(place.name) || this.isGone(place)))
      throw new FileSystemError("ENOENT", `no ${place.name}`);
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
    this.#inodes.set(keyOf({ folder: place.folder, name: hiddenName }), inode);
    const leaving: Leaving = { place, thread, unlinking: undefined };
    this.#leaving.set(keyOf(place), leaving);
    this.#byThread.set(thread, leaving);
    void this.#unlinkLater(leaving);
  }

  /** libfuse gives up a hidden name. */
  async reveal(hidden: Place, thread: Buffer): Promise<void> {
    this.#inodes.delete(keyOf(hidden));
    await this.nextOf(thread);
  }

  /** `thread` renames to `place`: true if it has just hidden the file there, which is to be replaced then. */
  isReplacing(thread: Buffer, place: Place): boolean {
    const leaving = this.#byThread.get(thread);
    if (leaving === undefined || leaving.unlinking !== undefined) return false;
    if (keyOf(leaving.place) !== keyOf(place)) return false;
    this.#forget(leaving);
    return true;
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
