// Where handover.db lies: in memory if there is such a folder, since it need not outlive the machine (DESIGN.md §3).

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const RUN_FOLDER = "/run/sidemount";
/** TMPFS_MAGIC in linux/magic.h. */
const TMPFS = 0x01021994;
/** SQLite's companions of a database. */
const SUFFIXES = ["", "-wal", "-shm", "-journal"];

export class HandoverPlace {
  /** Path of the database. */
  readonly path: string;

  /** A new name below /run, or in `stateDirectory` where /run is no tmpfs of ours. Nothing is made yet. */
  constructor(stateDirectory: string) {
    this.path = path.join(folderInMemory() ?? stateDirectory, `handover-${randomUUID()}.db`);
  }

  /** Nobody will take over any more. */
  remove(): void {
    for (const suffix of SUFFIXES) fs.rmSync(this.path + suffix, { force: true });
  }
}

function folderInMemory(): string | undefined {
  try {
    fs.mkdirSync(RUN_FOLDER, { recursive: true, mode: 0o755 });
    fs.accessSync(RUN_FOLDER, fs.constants.W_OK);
    return fs.statfsSync(RUN_FOLDER).type === TMPFS ? RUN_FOLDER : undefined;
  } catch {
    return undefined; // a root file system that cannot be written to, for one
  }
}
