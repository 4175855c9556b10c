// Where handover.db lies: in memory if there is such a folder, since it need not outlive the machine (DESIGN.md §3). In
// a folder of its own that only this user may enter: it has names and attributes of files in it.

import fs from "node:fs";
import path from "node:path";

import { lockExclusively } from "../lib/system-calls.ts";

/** In a container /run is often no tmpfs; Docker and Kubernetes give each one a /dev/shm. */
const MEMORY_FOLDERS = ["/run", "/dev/shm"];
const PREFIX = "sidemount-handover-";
const LOCK = "lock";
/** TMPFS_MAGIC in linux/magic.h. */
const TMPFS = 0x01021994;
/** Less room than this is not worth it: about 1 KB for each file the kernel knows. */
const ROOM_MIN_BYTES = 48 << 20;

export class HandoverPlace {
  /** Path of the database. */
  readonly path: string;
  readonly #folder: string;
  /** Held while this process lives: by that others know that it does. */
  readonly #lock: number;

  /** Makes the folder; in `stateDirectory`, which is made too, where there is none in memory. Throws if it cannot. */
  constructor(stateDirectory: string) {
    this.#folder = folderInMemory() ?? folderIn(stateDirectory);
    this.path = path.join(this.#folder, "handover.db");
    // Under its name it is never without its lock: another start would take the folder for one that was left.
    const unnamed = path.join(this.#folder, `${LOCK}.new`);
    this.#lock = fs.openSync(unnamed, "w", 0o600);
    lockExclusively(this.#lock);
    fs.renameSync(unnamed, path.join(this.#folder, LOCK));
    removeStale(path.dirname(this.#folder));
  }

  /** Nobody will take over any more. */
  remove(): void {
    fs.rmSync(this.#folder, { recursive: true, force: true });
    fs.closeSync(this.#lock);
  }
}

/** Of processes that were killed: nobody knows any more what these are about. */
function removeStale(parent: string): void {
  for (const name of fs.readdirSync(parent).filter((each) => each.startsWith(PREFIX))) {
    const folder = path.join(parent, name);
    try {
      const lock = fs.openSync(path.join(folder, LOCK), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
      if (lockExclusively(lock)) fs.rmSync(folder, { recursive: true, force: true });
      fs.closeSync(lock);
    } catch {
      continue; // another user's, or just being made
    }
  }
}

function folderInMemory(): string | undefined {
  for (const folder of MEMORY_FOLDERS) {
    try {
      const { type, bavail, bsize } = fs.statfsSync(folder);
      if (type === TMPFS && bavail * bsize >= ROOM_MIN_BYTES)
        return fs.mkdtempSync(path.join(folder, PREFIX));
    } catch {
      continue; // not there, or not for this user
    }
  }
  return undefined;
}

function folderIn(stateDirectory: string): string {
  fs.mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  return fs.mkdtempSync(path.join(stateDirectory, PREFIX));
}
