// A data file while its bytes arrive: written in order, checksummed on the way, never held in memory.

import type { FileHandle } from "node:fs/promises";
import type { Checksums, Digest } from "./checksums.ts";

// Sockets deliver up to 64 KiB at a time; one write for several of them costs less than one each.
const gatherBytes = 512 * 1024;

export class IncomingFile {
  readonly id: string;
  readonly digest: Digest;
  readonly #handle: FileHandle;
  readonly #syncEntry: () => Promise<void>;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #closed = false;

  constructor(id: string, handle: FileHandle, digest: Digest, syncEntry: () => Promise<void>) {
    this.id = id;
    this.digest = digest;
    this.#handle = handle;
    this.#syncEntry = syncEntry;
  }

  /** Bytes given so far. */
  get size(): number {
    return this.digest.length;
  }

  get checksums(): Checksums {
    return this.digest.result();
  }

  async append(bytes: Buffer): Promise<void> {
    this.digest.update(bytes);
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= gatherBytes) await this.#flush();
  }

  /** Everything given so far, and the file's name, is on disk when this returns. */
  async sync(): Promise<void> {
    await this.#flush();
    await Promise.all([this.#handle.datasync(), this.#syncEntry()]);
  }

  /** May be called more than once. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    const [first, ...others] = this.#gathered;
    if (first === undefined) return;
    const bytes = others.length === 0 ? first : Buffer.concat(this.#gathered);
    let position = this.size - this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position);
      done += bytesWritten;
      position += bytesWritten;
    }
  }
}
