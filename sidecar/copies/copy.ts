// One local file that stands for the bytes of one inode: sparse, with the ranges that are present.
//
// The file's length is always the logical length; absent ranges are holes, filled from exactly one object
// version. While the copy is whole, the kernel may write to the file without telling us; `changed` then
// finds out by ctime and size (RULES 2), never by mtime, which programs may set.

import fs from "node:fs";
import { promisify } from "node:util";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { Extents, type ByteRange } from "../lib/extents.ts";
import { punchHole } from "../lib/system-calls.ts";
import { Turn } from "../lib/turn.ts";
import { ChangeTrack } from "./change-track.ts";
import { sameStamp, type Observation, type Stamp } from "./stamp.ts";

const readAt = promisify(fs.read);
const writeAt = promisify(fs.write);
const syncFile = promisify(fs.fsync);
const truncateTo = promisify(fs.ftruncate);

export class Copy {
  readonly id: string;
  readonly path: string;
  /** The version absent ranges are read from, or that a sealed copy is. */
  version: ObjectInfo | undefined;
  /** Ranges that are present; undefined: all of it. */
  present: Extents | undefined;
  /** Present ranges end here at the latest; a truncated and extended file reads zeros beyond. */
  versionEnd: number;
  /** Changed by us on behalf of a program since the last successful upload. */
  dirty = false;
  /** Somebody may still write to it through a mapping that outlives its descriptor, until a lease says no (RULES 1). */
  mayBeMapped = false;
  /** From here on bytes are lacking that a program wanted to write: there was no room for them. */
  lacksFrom = Number.POSITIVE_INFINITY;
  /** A row in copies.db promises these bytes to a later run; must be withdrawn before a write. */
  promised = false;
  /** Its row says that it is being changed. */
  notedAsChanging = false;
  /** Awaited before a change and after it, while the row does not say as much; `placed`: not at what is the end. */
  noteChanging: ((placed: boolean) => Promise<void>) | undefined;
  /** State of the file at the last moment it was known to equal what was uploaded or fetched. */
  stamp: Stamp;
  /** Closed for good: the file is deleted or handed to the pending list. */
  retired = false;

  #unseenSinceMs: number | undefined;
  #descriptor: number | undefined;
  /** Calls under way on the descriptor: closed below them, its number would soon mean another file. */
  #calls = 0;
  #closing = false;
  /** Downloads of the whole version whose checksum is still to come: until then the copy is not whole. */
  #unverified = 0;
  /** Ranges programs wrote while bytes of the version were still arriving. */
  #written: Extents | undefined;
  /** Changes that went through us. */
  #changes = new ChangeTrack();
  /** Writes to a partial file take turns, so that a late fill never lands on a newer write. */
  readonly #writes = new Turn();

  constructor(
    id: string,
    path: string,
    content: {
      version?: ObjectInfo;
      present?: Extents;
      create: boolean;
      /** Of one that was changed under an earlier worker. */
      changed?: { from: number; placed: boolean };
    },
  ) {
    this.id = id;
    this.path = path;
    this.version = content.version;
    this.present = content.present;
    this.versionEnd = content.version?.size ?? 0;
    if (content.create) {
      this.#descriptor = fs.openSync(
        path,
        fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
        0o600,
      );
      if (content.present !== undefined && content.version !== undefined)
        fs.ftruncateSync(this.#descriptor, content.version.size);
    }
    if (content.changed !== undefined) {
      this.#changes = new ChangeTrack(content.changed);
      this.#written = new Extents(content.present?.ranges); // nobody knows any more which of them were
    }
    this.stamp = this.observe();
  }

  get descriptor(): number {
    this.#closing = false;
    this.#descriptor ??= fs.openSync(this.path, fs.constants.O_RDWR);
    return this.#descriptor;
  }

  get isOpen(): boolean {
    return this.#descriptor !== undefined;
  }

  /** The kernel may have written to it by itself since it was last at rest: nobody told us where. */
  get changedUnseen(): boolean {
    return this.#unseenSinceMs !== undefined;
  }

  set changedUnseen(changed: boolean) {
    this.#unseenSinceMs = changed ? (this.#unseenSinceMs ?? performance.now()) : undefined;
  }

  /** Since when, by `performance.now()`, all that was written unseen belongs to what is in the file now. */
  get unseenSinceMs(): number | undefined {
    return this.#unseenSinceMs;
  }

  get whole(): boolean {
    return this.present === undefined;
  }

  /** As it is now. Asks the local filesystem's memory, not its disk. */
  observe(): Observation {
    const status = fs.fstatSync(this.descriptor, { bigint: true });
    return {
      size: Number(status.size),
      changedNs: status.ctimeNs,
      modifiedNs: status.mtimeNs,
      allocatedBytes: Number(status.blocks) * 512,
    };
  }

  /** Whether the bytes may differ from the version the copy stands for. */
  changed(): boolean {
    return this.dirty || (this.whole && !sameStamp(this.observe(), this.stamp));
  }

  has(range: ByteRange): boolean {
    return (
      this.present === undefined ||
      this.present.has({ start: range.start, end: Math.min(range.end, this.versionEnd) })
    );
  }

  /** Ranges below `versionEnd` that are still in the bucket only. */
  missing(range: ByteRange): ByteRange[] {
    if (this.present === undefined) return [];
    return this.present.gaps({
      start: range.start,
      end: Math.max(range.start, Math.min(range.end, this.versionEnd)),
    });
  }

  /** Reads present bytes; short only at the end of the file. */
  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.use((descriptor) =>
        readAt(descriptor, buffer, filled, length - filled, offset + filled),
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  /** Where the first change since it last equalled a version is, as far as changes went through us. */
  get changedFrom(): number {
    return this.#changes.from;
  }

  /** Whether all that changed was written to the end because it is the end, likewise. */
  get onlyAppendedTo(): boolean {
    return !this.#changes.placed;
  }

  /** What changes after this resolves counts as later than what is then read for an upload. */
  mark(): Promise<void> {
    return this.#writes.run(() => {
      this.#changes.mark();
      return Promise.resolve();
    });
  }

  /** Whether any byte before `end` was changed since the last mark, as far as changes went through us. */
  changedSinceMark(end: number): Promise<boolean> {
    return this.#writes.run(() => Promise.resolve(this.#changes.fromSinceMark < end)); // a change under way is noted at its end
  }

  /** A program's write, served by us. `appended`: the program asked for the end, wherever that is. */
  write(offset: number, data: Buffer, appended = false): Promise<void> {
    return this.overwrite(async () => {
      await this.#store(offset, data);
      if (offset <= this.lacksFrom) this.lacksFrom = Number.POSITIVE_INFINITY;
      return { start: offset, end: offset + data.length };
    }, appended);
  }

  /** A program's change by whatever means. `work` answers the range whose bytes are now those the program wants. */
  overwrite(work: (descriptor: number) => Promise<ByteRange>, appended = false): Promise<void> {
    this.dirty = true;
    return this.#writes.run(async () => {
      await this.noteChanging?.(!appended);
      const range = await this.#changing(work, appended);
      await this.noteChanging?.(!appended); // a row that was written meanwhile did not know of it
      if (this.present === undefined) return;
      this.present.add(range);
      (this.#written ??= new Extents()).add(range);
      this.#noteIfWhole();
    });
  }

  /** Bytes of `version` arriving from the bucket: stored only where nothing newer is. */
  fill(offset: number, data: Buffer): Promise<void> {
    return this.#writes.run(async () => {
      if (this.retired) return; // nobody needs them any more, and the file may be gone
      for (const gap of this.missing({ start: offset, end: offset + data.length })) {
        await this.#store(gap.start, data.subarray(gap.start - offset, gap.end - offset));
        this.present?.add(gap);
      }
      this.#noteIfWhole();
    });
  }

  /** Cuts or extends the file; bytes beyond the old end are zeros. */
  truncate(size: number): Promise<void> {
    this.dirty = true;
    return this.#writes.run(async () => {
      await this.noteChanging?.(true);
      this.#noteChange(Math.min(size, this.observe().size));
      await this.use((descriptor) => truncateTo(descriptor, size));
      if (size <= this.lacksFrom) this.lacksFrom = Number.POSITIVE_INFINITY;
      if (size === 0 && this.changedUnseen) this.#unseenSinceMs = performance.now();
      this.versionEnd = Math.min(this.versionEnd, size);
      this.#changes.cut(size);
      await this.noteChanging?.(true);
      this.#noteIfWhole();
    });
  }

  /**
   * All of `version`, which was made of what was here at the last mark, leaves the disk once `record` is done. False, and
   * nothing has changed, if any of it was changed since.
   */
  giveAway(version: ObjectInfo, record: () => Promise<void>): Promise<boolean> {
    return this.#writes.run(async () => {
      const [start, end] = [version.size, this.observe().size];
      if (Math.min(this.#changes.fromSinceMark, end) < start) return false;
      this.present = new Extents(end > start ? [{ start, end }] : []);
      this.#written = new Extents(this.present.ranges);
      [this.version, this.versionEnd, this.dirty] = [version, start, true];
      this.#changes.settle();
      await record();
      await this.use((descriptor) => punchHole(descriptor, 0, version.size));
      return true;
    });
  }

  /** The bytes that came are not those of the version: only what programs wrote counts as present from now on. */
  discard(): void {
    this.present = new Extents(this.#written?.ranges);
  }

  /** All bytes of the version are about to come, their checksum last. Call the result when that is over. */
  expectChecksum(): () => void {
    this.#unverified += 1;
    return () => {
      this.#unverified -= 1;
      this.#noteIfWhole();
    };
  }

  /** Waits until the local disk has the bytes; also write-protects mapped pages, so that stores move ctime. */
  sync(): Promise<void> {
    return this.use(syncFile);
  }

  /** Declares the state of the file at the last mark equal to `version`. */
  settle(version: ObjectInfo, stamp: Stamp): void {
    this.version = version;
    this.versionEnd = Math.min(version.size, this.#changes.cutSinceMark);
    // Where all changes went through us, they tell; bytes that were fetched meanwhile have moved ctime too.
    this.stamp = this.changedUnseen || this.retired ? stamp : this.observe();
    this.#changes.settle();
    this.dirty = this.#changes.any;
  }

  /** Closes the file, once nothing is under way on it any more. */
  close(): void {
    this.#closing = this.#calls > 0;
    if (this.#descriptor === undefined || this.#closing) return;
    fs.closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** Runs `work` on the open file, which stays open meanwhile. */
  async use<T>(work: (descriptor: number) => Promise<T>): Promise<T> {
    const { descriptor } = this;
    this.#calls += 1;
    try {
      return await work(descriptor);
    } finally {
      this.#calls -= 1;
      if (this.#closing) this.close();
    }
  }

  /** Of a change that failed nobody knows where it came to. */
  async #changing(work: (descriptor: number) => Promise<ByteRange>, appended: boolean): Promise<ByteRange> {
    let start = 0;
    try {
      const range = await this.use(work);
      start = range.start;
      return range;
    } finally {
      this.#noteChange(start, appended);
    }
  }

  #noteChange(position: number, appended = false): void {
    this.dirty = true;
    this.#changes.note(position, appended);
  }

  async #store(offset: number, data: Buffer): Promise<void> {
    let stored = 0;
    while (stored < data.length) {
      const { bytesWritten } = await this.use((descriptor) =>
        writeAt(descriptor, data, stored, data.length - stored, offset + stored),
      ).catch((error: unknown) => {
        throw this.lacking(offset + stored, error);
      });
      stored += bytesWritten;
    }
  }

  /** A program's bytes could not be written here; answers `error`. */
  lacking(position: number, error: unknown): unknown {
    this.lacksFrom = Math.min(this.lacksFrom, position);
    return error;
  }

  /** A copy that has everything stops keeping count of ranges. The fills so far are not a program's change. */
  #noteIfWhole(): void {
    if (this.#unverified > 0 && this.versionEnd > 0) return;
    if (this.present === undefined || this.missing({ start: 0, end: this.versionEnd }).length > 0) return;
    this.present = undefined;
    if (!this.dirty) this.stamp = this.observe();
  }
}
