// All local copies: made, found again by object version after a restart, and evicted when the budget is used up.
//
// Order (RULES 16): fsync the copy, commit its row, and only then rely on it in a later run. A row is withdrawn,
// and the withdrawal committed, before anyone may write to the file again. Clean copies that nobody has open are
// the read cache: least recently used first to go. Everything else is pinned.

import { constants, statSync } from "node:fs";
import fs from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { Extents } from "../lib/extents.ts";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import type { CopyRecord } from "./copy-record.ts";
import { Copy } from "./copy.ts";
import type { Statement } from "./database.ts";
import { Inheritance } from "./inheritance.ts";
import { holdsVersion } from "./snapshot.ts";
import type { StateFolder } from "./state-folder.ts";
import { decodeVersion, encodeVersion } from "./version-record.ts";

/** Each is remembered in memory: of a cache full of small files, these are kept. */
const RESTING_MAX = 200_000;

/** What the cache knows of a clean copy nobody has open. */
interface Resting {
  readonly bytes: number;
  /** Gone for copies that nobody remembers, and absent for those of an earlier run that nobody has used in this one. */
  readonly copy?: WeakRef<Copy>;
}

export class CopyStore {
  readonly #state: StateFolder;
  readonly #background: Background;
  readonly #log: Log;
  readonly #resting: LRUCache<string, Resting>;
  readonly #inUse = new Set<string>();
  /** Given up, and not yet gone from disk and database: not to be found again. */
  readonly #leaving = new Set<string>();
  readonly #inheritance: Inheritance;

  constructor(state: StateFolder, options: { cacheSizeBytes: number; background: Background; log: Log }) {
    this.#state = state;
    this.#background = options.background;
    this.#log = options.log;
    this.#resting = new LRUCache({
      max: RESTING_MAX,
      maxSize: Math.max(1, options.cacheSizeBytes),
      maxEntrySize: Math.max(1, options.cacheSizeBytes),
      sizeCalculation: ({ bytes }) => Math.max(1, bytes),
      dispose: ({ copy }, id, reason) => {
        if (reason === "evict") this.#evict(id, copy?.deref());
      },
    });
    this.#inheritance = new Inheritance(state, {
      background: options.background,
      log: options.log,
      isInUse: (id) => this.#inUse.has(id),
      isResting: (id) => this.#resting.has(id),
      rest: (id, bytes) => this.#restOlder(id, bytes),
      erase: (id) => this.#erase(id),
    });
  }

  /** What an earlier run left: its cache is taken over, its unfinished work is kept and reported (RULES 10). */
  takeOver(): Promise<void> {
    return this.#inheritance.takeOver();
  }

  /** A copy that an earlier worker of this mount had in use. Throws if its file is gone. */
  restore(record: CopyRecord): Copy {
    const copy = Copy.restore(this.#state.copyPath(record.id), record);
    this.#inUse.add(copy.id);
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
    this.#inUse.add(id);
    this.#record(copy, object, "dirty");
    return copy;
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
    { sharedOnly, quiet }: { sharedOnly: boolean; quiet: boolean },
  ): Promise<Copy | undefined> {
    const id = randomUUID();
    const path = this.#state.copyPath(id);
    const mode = sharedOnly ? constants.COPYFILE_FICLONE_FORCE : constants.COPYFILE_FICLONE;
    this.#inUse.add(id);
    let clone: Copy | undefined;
    try {
      await fs.copyFile(copy.path, path, mode);
      clone = new Copy(id, path, { version, create: false });
      // Where somebody may write meanwhile, only the checksum proves what was copied.
      const proven = quiet && !copy.changed() && copy.version?.generation === version.generation;
      if (proven || (await holdsVersion(clone, version))) return clone;
    } catch (error) {
      await this.#forsake(id, clone);
      if (sharedOnly) return undefined;
      throw error;
    }
    await this.#forsake(id, clone);
    return undefined;
  }

  async #forsake(id: string, copy: Copy | undefined): Promise<void> {
    copy?.close();
    this.#inUse.delete(id);
    await fs.rm(this.#state.copyPath(id), { force: true });
  }

  /** Keeps a clean copy for later opens and runs; its bytes are those of `copy.version`. The file is closed. */
  async keep(copy: Copy, version: ObjectInfo): Promise<void> {
    await copy.sync();
    const bytes = copy.observe().allocatedBytes;
    if (!copy.promised)
      await this.#state.database.write(
        this.#row(copy, (copy.version ?? version).name, copy.whole ? "clean" : "partial", bytes),
      );
    else
      await this.#state.database.write({
        sql: "UPDATE copies SET used_ms = ? WHERE id = ?",
        values: [Date.now(), copy.id],
      });
    copy.promised = true;
    this.rest(copy);
  }

  /** Nobody has the copy open any more: it may be evicted. */
  rest(copy: Copy): void {
    if (copy.retired || !copy.promised) return;
    this.#inUse.delete(copy.id);
    const resting = { bytes: copy.observe().allocatedBytes, copy: new WeakRef(copy) };
    copy.close();
    this.#resting.set(copy.id, resting);
    if (!this.#resting.has(copy.id)) this.#evict(copy.id, copy); // larger than the whole cache
  }

  /** In use: not to be evicted. False if it has been evicted meanwhile. */
  pin(copy: Copy): boolean {
    if (copy.retired) return false;
    this.#inUse.add(copy.id);
    this.#resting.delete(copy.id);
    return true;
  }

  /** Before the first write to a copy that a later run would believe: resolves when it no longer would. */
  async withdraw(copy: Copy, object: string): Promise<void> {
    if (!copy.promised) return;
    copy.promised = false;
    await this.#state.database.write(this.#row(copy, object, "dirty", 0));
  }

  /** Nobody needs the bytes: gone from disk and database. */
  discard(copy: Copy): void {
    if (copy.retired) return;
    this.#resting.delete(copy.id);
    copy.close();
    this.#evict(copy.id, copy);
  }

  /** Bytes whose upload failed after the program was told: kept under the name they were meant for (RULES 10). */
  async keepFailed(copy: Copy, object: string, reason: string): Promise<void> {
    copy.retired = true;
    this.#inUse.delete(copy.id);
    await copy.sync();
    const row = this.#row(copy, object, "failed", copy.observe().allocatedBytes);
    copy.close();
    await this.#state.database.write(row, {
      sql: "UPDATE copies SET error = ? WHERE id = ?",
      values: [reason, copy.id],
    });
    this.#log.warn(
      { object, copy: copy.id, reason },
      "upload failed for good; the bytes are kept in the state folder",
    );
  }

  /** The bucket has these bytes: after a crash they are not owed, though not proven to be a cache either. */
  uploaded(copy: Copy, object: string): void {
    if (!copy.promised) this.#record(copy, object, "uploaded");
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
      this.#resting.delete(id);
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

  /** Copies from an earlier run are all older than anything used in this one: no room means they go. */
  #restOlder(id: string, bytes: number): void {
    if (this.#inUse.has(id) || this.#resting.has(id)) return;
    const full =
      this.#resting.size >= RESTING_MAX || this.#resting.calculatedSize + bytes > this.#resting.maxSize;
    if (full) this.#evict(id, undefined);
    else this.#resting.set(id, { bytes });
  }

  #evict(id: string, copy: Copy | undefined): void {
    if (copy !== undefined) copy.retired = true;
    copy?.close();
    this.#inUse.delete(id);
    this.#leaving.add(id);
    this.#background.start("erase copy", () => this.#erase(id));
  }

  async #erase(id: string): Promise<void> {
    await this.#state.database.write({ sql: "DELETE FROM copies WHERE id = ?", values: [id] });
    await fs.rm(this.#state.copyPath(id), { force: true });
    this.#leaving.delete(id);
  }

  #record(copy: Copy, object: string, state: string): void {
    this.#background.start("record copy", async () => {
      if (!copy.retired) await this.#state.database.write(this.#row(copy, object, state, 0));
    });
  }

  #row(copy: Copy, object: string, state: string, bytes: number): Statement {
    const { version, present } = copy;
    return {
      sql: `INSERT OR REPLACE INTO copies (id, object, state, generation, version, present, bytes, used_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      values: [
        copy.id,
        object,
        state,
        version?.generation ?? null,
        version === undefined ? null : encodeVersion(version),
        present === undefined ? null : JSON.stringify(present.ranges.map(({ start, end }) => [start, end])),
        bytes,
        Date.now(),
      ],
    };
  }
}

function decodeRanges(text: string): { start: number; end: number }[] {
  return (JSON.parse(text) as [number, number][]).map(([start, end]) => ({ start, end }));
}
