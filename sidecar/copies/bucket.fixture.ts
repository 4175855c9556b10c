// A bucket in memory for the unit tests of copies: one version a name, reads that can be held up, and a log of them.

import { crc32c } from "@node-rs/crc32";
import type { Bucket, ObjectInfo, ReadOptions } from "../bucket/bucket.ts";
import { BucketError } from "../bucket/errors.ts";

const CHUNK_BYTES = 64 << 10;

export interface LoggedRead {
  readonly name: string;
  readonly generation: bigint;
  readonly range: ReadOptions["range"];
}

export class MemoryBucket {
  readonly reads: LoggedRead[] = [];
  /** Awaited before each chunk of a read. */
  beforeChunk: (position: number) => Promise<void> = () => Promise.resolve();
  /** Told in place of the checksum that is right, once all bytes were given. */
  damaged = false;
  readonly #objects = new Map<string, { info: ObjectInfo; bytes: Buffer }>();
  #generation = 1000n;

  /** What the code under test is handed. */
  get bucket(): Bucket {
    return { read: this.#read.bind(this) } as unknown as Bucket;
  }

  put(name: string, bytes: Buffer): ObjectInfo {
    const info: ObjectInfo = {
      name,
      generation: ++this.#generation,
      metageneration: 1n,
      size: bytes.length,
      crc32c: crc32c(bytes),
      createdMs: 0,
      updatedMs: 0,
      contentType: undefined,
      contentEncoding: undefined,
      metadata: {},
    };
    this.#objects.set(name, { info, bytes });
    return info;
  }

  async *#read(
    { name, generation }: { name: string; generation: bigint },
    { range, signal }: ReadOptions = {},
  ): AsyncGenerator<Buffer> {
    this.reads.push({ name, generation, range });
    const held = this.#objects.get(name);
    if (held?.info.generation !== generation) throw new BucketError("not-found", `${name} is gone`);
    const { bytes } = held;
    const end = range?.end ?? bytes.length;
    for (let position = range?.start ?? 0; position < end; position += CHUNK_BYTES) {
      await this.beforeChunk(position);
      if (signal?.aborted === true) throw new BucketError("aborted", "given up");
      yield bytes.subarray(position, Math.min(position + CHUNK_BYTES, end));
    }
    if (this.damaged && range === undefined) throw new BucketError("checksum", "other bytes came");
  }
}
