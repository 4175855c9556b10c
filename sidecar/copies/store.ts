// All local copies: made, found again by object version after a restart, and evicted when the budget is used up.
//
// Order (RULES 16): fsync the copy, commit its row, and only then rely on it in a later run. A row is withdrawn,
// and the withdrawal committed, before anyone may write to the file again. Clean copies that nobody has open are
// the read cache: least recently used first to go. Everything else is pinned.

import { statSync } from "node:fs";
import fs from "node:fs/promises";
import { randomUUID } from "node:crypto";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { Extents } from "../lib/extents.ts";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import { cloneCopy } from "./clone.ts";
import { CopyNotes } from "./copy-notes.ts";
import { restoreCopy, type CopyRecord } from "./copy-record.ts";
import { Copy } from "./copy.ts";
import { DiskFullError, DiskSpace } from "./disk-space.ts";
import { copyRow, decodeRanges, keptRow, type Intent } from "./copy-rows.ts";
import { Inheritance } from "./inheritance.ts";
import { KeptCopies } from "./kept.ts";
import { RestingCopies } from "./resting-copies.ts";
import { OwedCopies } from "./owed-copies.ts";
import type { StateFolder } from "./state-folder.ts";
import { decodeVersion, encodeVersion } from "./version-record.ts";

/** Of the cache's size, what kept bytes may take before superseded ones are dropped. */
const KEPT_SHARE = 0.25;

export class CopyStore {
  readonly #state: StateFolder;
  readonly #background: Background;
  readonly #log: Log;
  readonly #resting: RestingCopies;
  readonly #inUse = new Set<string>();
  /** Given up, and not yet gone from disk and database: not to be found again. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #notes: CopyNotes;
  readonly #inheritance: Inheritance;
  /** Bytes kept for a person. They take their space from the cache. */
  readonly kept: KeptCopies;
  /** Bytes that were acknowledged and are not in the bucket yet. */
  readonly owed: OwedCopies;
  readonly space: DiskSpace;

  constructor(state: StateFolder, options: { cacheSizeBytes: number; background: Background; log: Log }) {
    this.#state = state;
    this.#notes = new CopyNotes(state, options.background);
    this.#background = options.background;
    this.#log = options.log;
    this.#resting = new RestingCopies(options.cacheSizeBytes, (id, copy) => this.#evict(id, copy));
    this.kept = new KeptCopies(state, { ...options, shareBytes: options.cacheSizeBytes * KEPT_SHARE });
    this.owed = new OwedCopies(state, options.log);
    this.space = new DiskSpace({
      directory: state.directory,
      ballastPath: state.ballastPath,
      release: (wantedBytes) => this.#giveBack(wantedBytes),
      log: options.log,
    });
    this.kept.onChange = (bytes) => this.#resting.leaveRoom(bytes);
    this.#inheritance = new Inheritance(state, {
      background: options.background,
      log: options.log,
      isInUse: (id) => this.#inUse.has(id),
      isResting: (id) => this.#resting.has(id),
      rest: (id, bytes) => {
        if (!this.#inUse.has(id) && !this.#resting.has(id)) this.#resting.addOlder(id, bytes);
      },
      erase: (id) => this.#erase(id),
    });
  }

  /** What an earlier run left: its cache is taken over, its unfinished work is kept and reported (RULES 10). */
  async takeOver(): Promise<void> {
    await this.#inheritance.takeOver();
    await this.kept.changed();
  }

  /** Bytes of clean copies nobody has open, and how many there may be beside what is kept for a person. */
  get cache(): { usedBytes: number; limitBytes: number } {
    const { usedBytes, limitBytes } = this.#resting;
    return { usedBytes, limitBytes };
  }

  /** A copy that an earlier worker of this mount had in use. Throws if its file is gone. */
  restore(record: CopyRecord): Copy {
    const copy = restoreCopy(this.#state.copyPath(record.id), record);
    this.#inUse.add(copy.id);
    if (record.noting) this.#notes.noteAgain(copy);
    return copy;
  }

  /** Length of a copy's file in bytes; undefined if there is none. */
  sizeOf(id: string): number | undefined {
    return statSync(this.#state.copyPath(id), { throwIfNoEntry: false })?.size;
  }

  /** A new, empty copy for a file that is written from scratch. */
  create(object: string): Copy {
    const id = randomUUID();
    const copy = new Copy(id, this.#state.copyPath(id), { create: true });
    copy.dirty = true;
    copy.notedAsChanging = true;
    this.#inUse.add(id);
    void this.#notes.record(copy, object, "dirty", "anywhere");
    return copy;
  }

  /** A whole file beside others that a row says is owed: from now on the one that programs use. */
  adopt(id: string, version: ObjectInfo | undefined): Copy {
    const copy = new Copy(id, this.#state.copyPath(id), { create: false });
    this.#inUse.add(id);
    return Object.assign(copy, { version, dirty: true, notedAsChanging: true });
  }

  /** The copy of exactly this version from an earlier use or run, or a new one with nothing present. */
  async obtain(version: ObjectInfo): Promise<Copy> {
    return (await this.#find(version)) ?? this.separate(version);
  }

  /** A copy of this version beside the one a file may have of it: nothing is present, no later run finds it. */
  separate(version: ObjectInfo): Copy {
    const id = randomUUID();
    const present = version.size === 0 ? undefined : new Extents();
    this.#inUse.add(id);
    return new Copy(id, this.#state.copyPath(id), { version, create: true, ...(present ? { present } : {}) });
  }

  /**
   * The file's bytes aside, if they are exactly those of `version`; undefined if not, or if the disk cannot share them
   * and `sharedOnly` is set. `quiet`: nobody can write to it now. No later run finds the clone.
   */
  async clone(
    copy: Copy,
    version: ObjectInfo,
    options: { sharedOnly: boolean; quiet: boolean },
  ): Promise<Copy | undefined> {
    const id = randomUUID();
    this.#inUse.add(id);
    let clone: Copy | undefined;
    try {
      clone = await cloneCopy(copy, version, { id, path: this.#state.copyPath(id), ...options });
      return clone;
    } finally {
      if (clone === undefined) this.#inUse.delete(id);
    }
  }

  /** Keeps a clean copy for later opens and runs; its bytes are those of `copy.version`. The file is closed. */
  async keep(copy: Copy, version: ObjectInfo): Promise<void> {
    await copy.sync();
    const bytes = copy.observe().allocatedBytes;
    if (!copy.promised)
      await this.#state.database.write(
        copyRow(copy, (copy.version ?? version).name, copy.whole ? "clean" : "partial", { bytes }),
      );
    else
      await this.#state.database.write({
        sql: "UPDATE copies SET used_ms = ? WHERE id = ?",
        values: [Date.now(), copy.id],
      });
    copy.promised = true;
    copy.notedAsChanging = false;
    copy.noteChanging = undefined;
    this.rest(copy);
  }

  /** Nobody has the copy open any more: it may be evicted. */
  rest(copy: Copy): void {
    if (copy.retired || !copy.promised) return;
    this.#inUse.delete(copy.id);
    const bytes = copy.observe().allocatedBytes;
    copy.close();
    this.#resting.add(copy, bytes);
  }

  /** In use: not to be evicted. False if it has been evicted meanwhile. */
  pin(copy: Copy): boolean {
    if (copy.retired) return false;
    this.#inUse.add(copy.id);
    this.#resting.remove(copy.id);
    return true;
  }

  /** What a row says of it that is being changed, when ranges of it are in the bucket only. */
  async recordParts(copy: Copy, object: string): Promise<void> {
    await this.#state.database.write(copyRow(copy, object, "dirty", { changed: "anywhere" }));
  }

  /** Its file stays, and is nobody's copy any more: a row speaks of it. */
  leave(copy: Copy): void {
    copy.retired = true;
    this.#inUse.delete(copy.id);
    copy.close();
  }

  /** See CopyNotes. */
  withdraw(copy: Copy, object: string): Promise<void> {
    return this.#notes.withdraw(copy, object);
  }

  /** See CopyNotes. */
  unlinked(copy: Copy): void {
    this.#notes.unlinked(copy);
  }

  /** See CopyNotes. */
  uploaded(copy: Copy, object: string): Promise<void> {
    return this.#notes.uploaded(copy, object);
  }

  /** Nobody needs the bytes: gone from disk and database. */
  discard(copy: Copy): void {
    if (copy.retired) return;
    this.#resting.remove(copy.id);
    copy.close();
    this.#evict(copy.id, copy);
  }

  /** Bytes whose upload failed after the program was told: kept under the name they were meant for (RULES 10). */
  async keepFailed(copy: Copy, object: string, reason: string, intent: Intent): Promise<void> {
    const { id } = copy;
    if (this.#mayBeCutShort(copy) && (await this.space.lookIsScarce())) {
      this.discard(copy);
      this.#log.warn(
        { object, copy: id },
        "the disk is full: what there was room for of a file was not kept",
      );
      return;
    }
    copy.retired = true;
    this.#inUse.delete(id);
    await copy.sync();
    const row = keptRow(copy, object, reason, intent);
    copy.close();
    await this.#state.database.write(row);
    this.#log.warn(
      { object, copy: copy.id, reason },
      "upload failed for good; the bytes are kept, see `sidemount pending`",
    );
    await this.kept.changed();
  }

  /** The object behind a copy has a new name. Its file is not touched: it may be closed, or gone. */
  renamed(copy: Copy, version: ObjectInfo): void {
    if (copy.retired) return;
    this.#background.start("record rename", () =>
      this.#state.database.write({
        sql: "UPDATE copies SET object = ?, generation = ?, version = ? WHERE id = ?",
        values: [version.name, version.generation, encodeVersion(version), copy.id],
      }),
    );
  }

  /** Whether an earlier run left copies of this object: a hint that the name may be asked for by get. */
  knows(object: string): Promise<boolean> {
    return this.#inheritance.knows(object);
  }

  /** A local file without a name, for what need not outlive the process. Its owner closes it. */
  openNameless(): Promise<fs.FileHandle> {
    return this.#state.openNameless();
  }

  clonePath(copy: Copy): string {
    return `${this.#state.copyPath(copy.id)}.clone`;
  }

  async #find(version: ObjectInfo): Promise<Copy | undefined> {
    const [row] = await this.#state.database.read(
      "SELECT id, version, present FROM copies WHERE object = ? AND generation = ? AND state IN ('clean', 'partial')",
      version.name,
      version.generation,
    );
    if (row === undefined) return undefined;
    const id = String(row["id"]);
    // One file, one Copy: what somebody has, or what is on its way out, is nobody else's.
    if (this.#leaving.has(id) || this.#inUse.has(id)) return undefined;
    try {
      const present = row["present"] === null ? undefined : new Extents(decodeRanges(String(row["present"])));
      const held = decodeVersion(String(row["version"]));
      const copy = new Copy(id, this.#state.copyPath(id), {
        version: held,
        create: false,
        ...(present ? { present } : {}),
      });
      if (copy.observe().size !== version.size)
        throw new Error("the file has another length than its row says");
      copy.promised = true;
      copy.version = version;
      this.#inUse.add(id);
      this.#resting.remove(id);
      return copy;
    } catch (error) {
      this.#log.warn(
        { object: version.name, copy: id, err: error },
        "a cached copy is not usable and is fetched again",
      );
      await this.#erase(id);
      return undefined;
    }
  }

  #evict(id: string, copy: Copy | undefined): void {
    if (copy !== undefined) copy.retired = true;
    copy?.close();
    this.#inUse.delete(id);
    const erasing = this.#erase(id);
    this.#leaving.set(id, erasing);
    this.#background.start("erase copy", () => erasing);
  }

  async #erase(id: string): Promise<void> {
    await this.#state.database.write({ sql: "DELETE FROM copies WHERE id = ?", values: [id] });
    await fs.rm(this.#state.copyPath(id), { force: true });
    this.#leaving.delete(id);
  }

  /** What others can do without, in this order: clean copies, then kept bytes that were superseded. */
  async #giveBack(wantedBytes: number): Promise<void> {
    const fromCache = this.#resting.release(wantedBytes);
    await Promise.allSettled(this.#leaving.values());
    if (fromCache >= wantedBytes) return;
    await this.kept.release(wantedBytes - fromCache);
    await this.kept.changed();
  }

  /** Before so many bytes of a program are put there by us. Throws DiskFullError if there is no room for them. */
  async requireRoom(copy: Copy, position: number, bytes: number): Promise<void> {
    await this.space.require(bytes).catch((error: unknown) => {
      throw copy.lacking(position, error);
    });
  }

  /** Before an upload: throws DiskFullError if bytes may be lacking because the disk was full when they were written. */
  async refuseIfCutShort(copy: Copy): Promise<void> {
    if (copy.changedUnseen) await this.space.look();
    if (this.#mayBeCutShort(copy))
      throw new DiskFullError("the disk was full while the file was being written");
  }

  #mayBeCutShort({ lacksFrom, unseenSinceMs }: Copy): boolean {
    if (lacksFrom !== Infinity) return true;
    return unseenSinceMs !== undefined && this.space.wasFullSince(unseenSinceMs);
  }
}
