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
  /** Set once bytes were lost: the file must never pass for complete after that. */
  #failure: unknown;

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
    if (bytes.length === 0) return;
    this.digest.update(bytes);
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= gatherBytes) await this.#flush();
  }

  /** Everything given so far, and the file's name, is on disk when this returns. */
  async sync(): Promise<void> {
    await this.#flush();
    if (this.#failure !== undefined) throw this.#failure;
    await Promise.all([this.#handle.datasync(), this.#syncEntry()]);
  }

  /** May be called more than once. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }

  async #flush(): Promise<void> {
    const position = this.size - this.#gatheredBytes;
    const buffers = this.#gathered;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    try {
      await writeAll(this.#handle, buffers, position);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

async function writeAll(handle: FileHandle, buffers: readonly Buffer[], position: number): Promise<void> {
  let at = position;
  for (let left = buffers; left.length > 0;) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = without(left, bytesWritten);
  }
}

/** What is left of `buffers` behind their first `bytes`; a write may take less than it was given. */
function without(buffers: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  return buffers.flatMap((buffer) => {
    const rest = buffer.subarray(Math.min(skip, buffer.length));
    skip -= buffer.length - rest.length;
    return rest.length === 0 ? [] : [rest];
  });
}
