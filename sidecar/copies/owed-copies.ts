// Bytes that programs were told are stored, and that the bucket does not have yet (--write-back, RULES 11): in copies.db
// as soon as that is said, uploaded soon after, and found again by the next start.
//
// A name has one such row at most, whatever was broken off: each that is written takes others away, in one transaction. It is
// of the file's own copy, or, once somebody is about to write to that again, of a copy of its own, which stays what it was
// when it was acknowledged.

import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import fs from "node:fs/promises";
import type { Expected, ObjectProperties } from "../bucket/bucket.ts";
import type { Log } from "../telemetry/log.ts";
import { copyRow, encodeExpected, owedRow, type Owing, type Replacing } from "./copy-rows.ts";
import type { Copy } from "./copy.ts";
import type { Statement } from "./database.ts";
import { readKept, type KeptCopy } from "./kept.ts";
import type { StateFolder } from "./state-folder.ts";

/** A longer file is copied aside only where the disk can share its bytes. */
const COPY_ASIDE_MAX_BYTES = 64 << 20;

export class OwedCopies {
  readonly #state: StateFolder;
  readonly #log: Log;
  /** Copies whose names the disk has. */
  readonly #named = new WeakSet<Copy>();

  constructor(state: StateFolder, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  /**
   * Resolves when no crash can lose what the file holds now. What was put `aside` of an earlier state goes. `owing` is asked at
   * the last moment: an upload of an earlier state may begin or end before. Answers what it said.
   */
  async record(copy: Copy, owing: () => Owing, aside: string | undefined): Promise<Owing> {
    await copy.sync();
    if (!this.#named.has(copy)) await this.#state.syncNames();
    this.#named.add(copy);
    copy.promised = false;
    copy.notedAsChanging = true;
    copy.noteChanging = undefined;
    const { allocatedBytes } = copy.observe();
    const recorded = owing();
    await this.#state.database.write(
      owedRow(copy, allocatedBytes, recorded),
      withoutOthers(recorded.object, copy.id),
      ...withoutRow(aside),
    );
    if (aside !== undefined) await this.#remove(aside);
    return recorded;
  }

  /**
   * As `record`, of a file that somebody goes on writing to: what it holds now goes aside, under the `id` it has there. Undefined
   * if that would take too long, and nothing has changed.
   */
  async recordAside(
    copy: Copy,
    owing: () => Owing,
    aside: string | undefined,
  ): Promise<(Owing & { readonly id: string }) | undefined> {
    const id = randomUUID();
    const path = this.#state.copyPath(id);
    let recorded: Owing;
    try {
      if (!(await cloned(copy, path))) return undefined;
      const file = await fs.open(path, "r");
      try {
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#state.syncNames();
      copy.promised = false;
      copy.notedAsChanging = true;
      copy.noteChanging = undefined;
      const { size, allocatedBytes } = copy.observe();
      recorded = owing();
      await this.#state.database.write(
        owedRow({ id, version: copy.version }, Math.min(size, allocatedBytes), recorded),
        copyRow(copy, recorded.object, "dirty", { changed: "anywhere" }),
        withoutOthers(recorded.object, id),
        ...withoutRow(aside),
      );
    } catch (error) {
      await fs.rm(path, { force: true });
      throw error;
    }
    if (aside !== undefined) await this.#remove(aside);
    return { ...recorded, id };
  }

  /**
   * The file has another name, another basis, and tries that may have arrived there; what was owed under that name is not any more,
   * in the same moment. Done once more it changes nothing.
   */
  async rename(
    id: string,
    to: { object: string; base: Expected; operations: readonly string[]; replacing: Replacing },
  ): Promise<void> {
    const { object, base, operations, replacing } = to;
    await this.#state.database.write(withoutName(object, id), {
      sql: "UPDATE copies SET object = ?, base = ?, operations = ?, replacing = ? WHERE id = ? AND state = 'owed'",
      values: [object, encodeExpected(base), JSON.stringify(operations), replacing, id],
    });
  }

  /**
   * What may arrive (RULES 4), noted before it is sent, and what it is to replace by then: an earlier state that was under way when
   * this one was acknowledged may be there. By the name, since a newer state may be acknowledged in this very moment.
   */
  noteTry(
    object: string,
    { base, operations, exclusive }: { base: Expected; operations: readonly string[]; exclusive: boolean },
  ): Promise<void> {
    return this.#state.database.write({
      sql: `UPDATE copies SET base = ?, operations = ?,
              replacing = iif(replacing = 'exclusive' AND NOT ?, 'edited', replacing)
            WHERE object = ? AND state = 'owed'`,
      values: [encodeExpected(base), JSON.stringify(operations), exclusive ? 1 : 0, object],
    });
  }

  /** As `noteTry`, of a row whose file is nobody's yet. */
  noteOperations(id: string, operations: readonly string[]): Promise<void> {
    return this.#state.database.write({
      sql: "UPDATE copies SET operations = ? WHERE id = ? AND state = 'owed'",
      values: [JSON.stringify(operations), id],
    });
  }

  /** Attributes changed after the bytes were acknowledged: they go with them. */
  noteProperties(id: string, properties: ObjectProperties): Promise<void> {
    return this.#state.database.write({
      sql: "UPDATE copies SET properties = ? WHERE id = ? AND state = 'owed'",
      values: [JSON.stringify(properties), id],
    });
  }

  /** Nothing is owed under this name any more, but for `id`. Bytes stay for those who have the file open. */
  settled(object: string, id?: string): Promise<void> {
    return this.#state.database.write(withoutName(object, id));
  }

  /** The one of this id is nobody's: the file was removed, or lies elsewhere. */
  unlinked(id: string): Promise<void> {
    return this.#state.database.write({
      sql: "UPDATE copies SET state = 'unlinked' WHERE id = ? AND state = 'owed'",
      values: [id],
    });
  }

  /** What the file's own copy holds by now was not acknowledged; what was, the bucket has. */
  async changedSince(copy: Copy, object: string): Promise<void> {
    if (!copy.retired)
      await this.#state.database.write(copyRow(copy, object, "dirty", { changed: "anywhere" }));
  }

  /** What was put aside is in the bucket, or nobody's any more: the row first, so that none speaks of a file that is gone. */
  async drop(id: string): Promise<void> {
    await this.#state.database.write(...withoutRow(id));
    await this.#remove(id);
  }

  /** It will never be uploaded by itself: kept for a person (RULES 10). */
  async keep(id: string, reason: string): Promise<void> {
    await this.#state.database.write({
      sql: "UPDATE copies SET state = 'failed', error = ?, kept_ms = ? WHERE id = ? AND state = 'owed'",
      values: [reason, Date.now(), id],
    });
  }

  /** The file of what was put aside. Its owner closes it. */
  openAside(id: string): Promise<fs.FileHandle> {
    return fs.open(this.#state.copyPath(id), "r");
  }

  /** All there are, oldest first. */
  list(): Promise<KeptCopy[]> {
    const sql = "SELECT * FROM copies WHERE state = 'owed' ORDER BY kept_ms, id";
    return readKept(this.#state, this.#log, sql);
  }

  async #remove(id: string): Promise<void> {
    await fs.rm(this.#state.copyPath(id), { force: true });
  }

  /** How many there are. */
  async count(): Promise<number> {
    const [row] = await this.#state.database.read(
      "SELECT count(*) AS count FROM copies WHERE state = 'owed'",
    );
    return Number(row?.["count"] ?? 0);
  }
}

/** Another state under the same name is an earlier one, whatever has kept it from being taken away. */
function withoutOthers(object: string, id: string): Statement {
  return {
    sql: "DELETE FROM copies WHERE object = ? AND state = 'owed' AND id <> ?",
    values: [object, id],
  };
}

/** An earlier state, also where it is under a name the file has left meanwhile. */
function withoutRow(id: string | undefined): Statement[] {
  return id === undefined ? [] : [{ sql: "DELETE FROM copies WHERE id = ?", values: [id] }];
}

function withoutName(object: string, except = ""): Statement {
  return {
    sql: "UPDATE copies SET state = 'unlinked' WHERE object = ? AND state = 'owed' AND id <> ?",
    values: [object, except],
  };
}

/** False if the bytes cannot be shared and are too many. */
async function cloned(copy: Copy, path: string): Promise<boolean> {
  try {
    await fs.copyFile(copy.path, path, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    await fs.rm(path, { force: true });
    if (copy.observe().size > COPY_ASIDE_MAX_BYTES) return false;
    await fs.copyFile(copy.path, path);
    return true;
  }
}
