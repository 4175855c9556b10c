// Bringing bytes of one object version into a copy: only what is asked for, rounded up, and further ahead
// the longer a reader goes on in sequence.
//
// Readers wait for ranges, not for requests: a read is answered as soon as its own bytes are here (RULES 13).

import type { Bucket } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import { isSameVersion } from "../bucket/same-version.ts";
import type { ByteRange } from "../lib/extents.ts";
import { Turn } from "../lib/turn.ts";
import type { Copy } from "./copy.ts";

/** A random read brings this much around it: small against the 1 MiB a seek may cost, large against a request. */
const RANDOM_READ_BYTES = 256 << 10;
/** A sequential reader's window doubles up to this. */
const WINDOW_MAX_BYTES = 16 << 20;
/** What of a file that has no room on the disk is held in memory. */
const HELD_BYTES = 8 << 20;

interface Waiter {
  readonly range: ByteRange;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Download {
  readonly range: ByteRange;
  position: number;
}

/** Where one reader is, so that sequence can be told from jumps. */
export class ReaderPosition {
  #next = 0;
  #windowBytes = 0;

  /** Whether a read at `offset` goes on where this reader was, or close to it. */
  continuesAt(offset: number): boolean {
    return offset >= this.#next - RANDOM_READ_BYTES && offset <= this.#next + RANDOM_READ_BYTES;
  }

  /** The range to have for a read of `wanted`: the read itself, rounded; more when reads follow each other. */
  plan(wanted: ByteRange): { needed: ByteRange; ahead: ByteRange | undefined } {
    const sequential = this.continuesAt(wanted.start);
    this.#windowBytes = sequential
      ? Math.min(Math.max(this.#windowBytes * 2, RANDOM_READ_BYTES * 2), WINDOW_MAX_BYTES)
      : 0;
    this.#next = wanted.end;
    const start = Math.floor(wanted.start / RANDOM_READ_BYTES) * RANDOM_READ_BYTES;
    const end = Math.ceil(wanted.end / RANDOM_READ_BYTES) * RANDOM_READ_BYTES;
    const ahead = this.#windowBytes > 0 ? { start: end, end: end + this.#windowBytes } : undefined;
    return { needed: { start, end }, ahead };
  }
}

/** Bytes that are in memory only. */
interface Held {
  readonly start: number;
  readonly bytes: Buffer;
}

export class Fetcher {
  readonly #bucket: Bucket;
  readonly #copy: Copy;
  readonly #downloads = new Map<Download, Promise<void>>();
  readonly #stop = new AbortController();
  #waiters: Waiter[] = [];
  readonly #passingTurn = new Turn();
  #held: Held | undefined;

  constructor(bucket: Bucket, copy: Copy) {
    this.#bucket = bucket;
    this.#copy = copy;
  }

  /**
   * One GET of everything still missing, pinned to the version. Readers may use bytes as they come; the promise
   * resolves when all are here and, if they came in one piece, their checksum was right.
   */
  async whole(): Promise<void> {
    const all = { start: 0, end: this.#copy.versionEnd };
    this.#watch(this.#startMissing(all));
    await Promise.all(this.#downloads.values());
    await this.need(all);
  }

  /** Resolves when `range` is present; rejects when it cannot be had (`not-found`: the version is gone). */
  async need(range: ByteRange): Promise<void> {
    if (this.#copy.has(range)) return;
    const here = new Promise<void>((resolve, reject) => this.#waiters.push({ range, resolve, reject }));
    this.#watch(this.#startMissing(range));
    await here;
  }

  /** Brings bytes a reader will likely want; nobody waits. Not while an earlier window is still far from done. */
  lookAhead(range: ByteRange): void {
    const pending = [...this.#downloads.keys()].reduce(
      (sum, { range: { end }, position }) => sum + end - position,
      0,
    );
    if (pending < (range.end - range.start) / 2) this.#watch(this.#startMissing(range));
  }

  /**
   * Bytes of the version that are kept nowhere, for want of room on the disk. Those behind them are held for a moment: most
   * readers go on.
   */
  passing(range: ByteRange): Promise<Buffer> {
    return this.#passingTurn.run(async () => {
      const parts: Buffer[] = [];
      for (let position = range.start; position < range.end;) {
        if (position >= this.#copy.versionEnd) {
          parts.push(Buffer.alloc(range.end - position)); // cut off meanwhile
          break;
        }
        const held = this.#held;
        if (held === undefined || position < held.start || position >= held.start + held.bytes.length) {
          this.#held = await this.#receiveToHold(position, range.end);
          continue;
        }
        const part = held.bytes.subarray(position - held.start, range.end - held.start);
        parts.push(part);
        position += part.length;
      }
      return Buffer.concat(parts);
    });
  }

  /** More than what is asked for where it goes on behind what was held. */
  async #receiveToHold(start: number, end: number): Promise<Held> {
    const { version, versionEnd } = this.#copy;
    if (version === undefined) throw new Error("there is no version to read");
    const goesOn = this.#held !== undefined && start === this.#held.start + this.#held.bytes.length;
    const length = Math.max(end - start, goesOn || start === 0 ? HELD_BYTES : RANDOM_READ_BYTES);
    const range = { start, end: Math.min(start + length, versionEnd) };
    this.#held = undefined; // not two at a time
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#bucket.read(version, { signal: this.#stop.signal, range }))
      chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (bytes.length === 0) throw new Error("the bucket sent nothing of a range it has");
    return { start, bytes };
  }

  /** Nobody reads on: what is held in memory goes. */
  letGo(): void {
    this.#held = undefined;
  }

  /** Whether bytes are on their way: the copy's file is being written to. */
  get busy(): boolean {
    return this.#downloads.size > 0;
  }

  /** Gives up all downloads; those who wait fail. */
  stop(): void {
    this.#stop.abort();
  }

  #startMissing(range: ByteRange): Promise<void>[] {
    const missing = this.#copy.missing(range).flatMap((gap) => this.#notUnderWay(gap));
    return missing.map((gap) => {
      const download = { range: gap, position: gap.start };
      const done = this.#download(download);
      this.#downloads.set(download, done);
      return done;
    });
  }

  /** Failures of these downloads reach those who wait for their ranges; the promises themselves have no other reader. */
  #watch(downloads: Promise<void>[]): void {
    for (const download of downloads) download.catch(() => undefined);
  }

  #notUnderWay(gap: ByteRange): ByteRange[] {
    let rest = [gap];
    for (const { range, position } of this.#downloads.keys()) {
      const covered = { start: position, end: range.end };
      rest = rest.flatMap(({ start, end }) => [
        { start, end: Math.min(end, covered.start) },
        { start: Math.max(start, covered.end), end },
      ]);
      rest = rest.filter(({ start, end }) => start < end);
    }
    return rest;
  }

  async #download(download: Download): Promise<void> {
    const { range } = download;
    try {
      await this.#receive(download);
    } catch (error) {
      this.#fail(
        isBucketError(error, "checksum") ? range : { start: download.position, end: range.end },
        error,
      );
      throw error;
    } finally {
      this.#downloads.delete(download);
      this.#wake();
    }
  }

  async #receive(download: Download): Promise<void> {
    const { version } = this.#copy;
    if (version === undefined) return;
    const rest = { start: download.position, end: Math.min(download.range.end, version.size) };
    const entire = rest.start === 0 && rest.end === version.size;
    const options = { signal: this.#stop.signal, ...(entire ? {} : { range: rest }) };
    const verified = entire ? this.#copy.expectChecksum() : undefined;
    try {
      for await (const chunk of this.#bucket.read(version, options)) {
        await this.#copy.fill(download.position, chunk);
        download.position += chunk.length;
        this.#wake();
      }
    } catch (error) {
      if (isBucketError(error, "checksum")) this.#copy.discard();
      // Renamed meanwhile: the same bytes under another name, and mostly of another generation.
      const moved = !isSameVersion(this.#copy.version, version);
      if (!moved || !isBucketError(error, "not-found")) throw error;
      await this.#receive(download);
    } finally {
      verified?.();
    }
  }

  #wake(): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (!this.#copy.has(waiter.range)) return true;
      waiter.resolve();
      return false;
    });
  }

  #fail(lost: ByteRange, error: unknown): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.range.end <= lost.start || waiter.range.start >= lost.end) return true;
      waiter.reject(error);
      return false;
    });
  }
}
