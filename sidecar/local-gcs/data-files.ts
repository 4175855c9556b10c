// Files that hold objects' bytes, named by random ids, never by object names.
//
// A file is complete and on disk, directory entry included, before any row refers to it; a file no row refers to
// is a leftover and is removed at the next start. So nothing needs renaming, and an object's file never changes.

import { constants, openSync } from "node:fs";
import { mkdir, open, opendir, unlink, type FileHandle } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { SharedRun } from "../lib/shared-run.ts";
import { Digest } from "./checksums.ts";
import { IncomingFile } from "./incoming-file.ts";

export class DataFiles {
  readonly #directory: string;
  readonly #handle: FileHandle;
  readonly #entriesSynced: SharedRun<void>;

  private constructor(directory: string, handle: FileHandle) {
    this.#directory = directory;
    this.#handle = handle;
    this.#entriesSynced = new SharedRun(() => handle.sync());
  }

  static async open(directory: string): Promise<DataFiles> {
    await mkdir(directory, { recursive: true });
    return new DataFiles(directory, await open(directory, "r"));
  }

  /** An id for a file that does not exist yet. */
  newId(): string {
    return randomUUID();
  }

  /** A new, empty file to be filled. */
  async create(): Promise<IncomingFile> {
    const id = this.newId();
    const handle = await open(this.#path(id), "wx");
    return new IncomingFile(id, handle, new Digest(), () => this.#entriesSynced.request());
  }

  /** Opens a file, half-filled or not begun, to go on where `digest` ends; bytes beyond that are cut off. */
  async resume(id: string, digest: Digest): Promise<IncomingFile> {
    const handle = await open(this.#path(id), constants.O_RDWR | constants.O_CREAT);
    await handle.truncate(digest.length);
    return new IncomingFile(id, handle, digest, () => this.#entriesSynced.request());
  }

  /** Checksums of the first `length` bytes of a file, read anew. */
  async digestOf(id: string, length: number): Promise<Digest> {
    const digest = new Digest();
    const handle = await open(this.#path(id), "r");
    try {
      for (const buffer = Buffer.allocUnsafe(1 << 20); digest.length < length;) {
        const wanted = Math.min(buffer.length, length - digest.length);
        const { bytesRead } = await handle.read(buffer, 0, wanted, digest.length);
        if (bytesRead === 0) throw new Error(`${id} has fewer bytes than were acknowledged`);
        digest.update(buffer.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
    return digest;
  }

  /**
   * Opens a file for reading in the same step that looked up its row, so it cannot be removed in between: the
   * descriptor stays good when the object is overwritten or deleted while it is being read.
   */
  openNow(id: string): number {
    return openSync(this.#path(id), "r");
  }

  /** Removes files that may already be gone. */
  async remove(...ids: readonly string[]): Promise<void> {
    for (const id of ids) await unlink(this.#path(id)).catch(unlessAbsent);
  }

  /** Removes every file that `isUsed` does not know; returns how many there were. */
  async sweep(isUsed: (id: string) => boolean): Promise<number> {
    let removed = 0;
    for await (const entry of await opendir(this.#directory)) {
      if (isUsed(entry.name)) continue;
      await this.remove(entry.name);
      removed += 1;
    }
    return removed;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #path(id: string): string {
    return join(this.#directory, id);
  }
}

function unlessAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
