// What an earlier run left in the state folder: its cache is taken over, its unfinished work kept and reported, the
// rest erased.

import fs from "node:fs/promises";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import type { SqlValue } from "./database.ts";
import type { StateFolder } from "./state-folder.ts";

/** Rows taken into the cache's order at a time after a start; none are needed to begin (RULES 20). */
const ROWS_PER_STEP = 500;

/** What the heir does with it, by the ids of copies. */
export interface Heir {
  readonly background: Background;
  readonly log: Log;
  isInUse(id: string): boolean;
  isResting(id: string): boolean;
  /** A clean copy for the cache, older than anything used in this run. */
  rest(id: string, bytes: number): void;
  erase(id: string): Promise<void>;
}

export class Inheritance {
  readonly #state: StateFolder;
  readonly #heir: Heir;
  /** There are copies: their names are worth a look. */
  #any = false;

  constructor(state: StateFolder, heir: Heir) {
    this.#state = state;
    this.#heir = heir;
  }

  /** Resolves once nothing of this run can be taken for something of the earlier one; the rest goes on. */
  async takeOver(): Promise<void> {
    const { database } = this.#state;
    await this.#keepUnfinished();
    const rows = await database.read(
      "SELECT object, state, error FROM copies WHERE state IN ('unfinished', 'failed') ORDER BY used_ms LIMIT 20",
    );
    for (const { object, state, error } of rows) {
      this.#heir.log.warn(
        { object, state, error },
        "bytes of an earlier run may not have reached the bucket; they are kept in the state folder",
      );
    }
    const [any] = await database.read("SELECT 1 FROM copies WHERE state IN ('clean', 'partial') LIMIT 1");
    this.#any = any !== undefined;
    const startedMs = Date.now();
    this.#heir.background.start("take over cache", async () => {
      await this.#takeOverOrder();
      await this.#eraseUploaded();
      await database.write({
        sql: "DELETE FROM uploads WHERE copy_id NOT IN (SELECT id FROM copies)",
        values: [],
      });
      await this.#eraseStrays(startedMs);
    });
  }

  /** What was being written by a process that is gone; of files that had nothing yet nothing is kept. */
  async #keepUnfinished(): Promise<void> {
    const { database } = this.#state;
    for (const { id } of await database.read("SELECT id FROM copies WHERE state = 'dirty'")) {
      const copyId = String(id);
      if (this.#heir.isInUse(copyId)) continue; // of a file that programs still have open, under a new worker
      const status = await fs.stat(this.#state.copyPath(copyId)).catch(() => undefined);
      if (status?.size === 0) await this.#heir.erase(copyId);
      else
        await database.write({
          sql: "UPDATE copies SET state = 'unfinished' WHERE id = ?",
          values: [copyId],
        });
    }
  }

  /** Whether it holds copies of this object, of whatever version. */
  async knows(object: string): Promise<boolean> {
    if (!this.#any) return false;
    const rows = await this.#state.database.read(
      "SELECT 1 FROM copies WHERE object = ? AND state IN ('clean', 'partial') LIMIT 1",
      object,
    );
    return rows.length > 0;
  }

  async #takeOverOrder(): Promise<void> {
    let [usedMs, lastId]: [SqlValue, string] = [Date.now() + 1, ""];
    for (;;) {
      const rows = await this.#state.database.read(
        `SELECT id, bytes, used_ms FROM copies WHERE state IN ('clean', 'partial') AND (used_ms, id) < (?, ?)
         ORDER BY used_ms DESC, id DESC LIMIT ${ROWS_PER_STEP}`,
        usedMs,
        lastId,
      );
      for (const row of rows) {
        [usedMs, lastId] = [row["used_ms"] ?? 0, String(row["id"])];
        this.#heir.rest(lastId, Number(row["bytes"]));
      }
      if (rows.length < ROWS_PER_STEP) return;
    }
  }

  /** Copies that were uploaded when the earlier run ended: of no use, unless they were written to again. */
  async #eraseUploaded(): Promise<void> {
    const { database } = this.#state;
    const rows = await database.read("SELECT id, object, used_ms FROM copies WHERE state = 'uploaded'");
    for (const { id, object, used_ms: uploadedMs } of rows) {
      const copyId = String(id);
      if (this.#heir.isInUse(copyId)) continue;
      const changedMs = (await fs.stat(this.#state.copyPath(copyId)).catch(() => undefined))?.ctimeMs ?? 0;
      if (changedMs <= Number(uploadedMs)) await this.#heir.erase(copyId);
      else {
        await database.write({
          sql: "UPDATE copies SET state = 'unfinished' WHERE id = ?",
          values: [copyId],
        });
        this.#heir.log.warn(
          { object, copy: copyId },
          "what was written after an upload may not have reached the bucket; it is kept",
        );
      }
    }
  }

  /** Files that no row speaks of: fetched, but not kept before the run ended. */
  async #eraseStrays(startedMs: number): Promise<void> {
    for await (const { name } of await fs.opendir(this.#state.copyPath(""))) {
      const id = name.replace(/\.clone$/, "");
      if (name === id && this.#heir.isResting(id)) continue;
      const changedMs = (await fs.stat(this.#state.copyPath(name)).catch(() => undefined))?.ctimeMs;
      if (changedMs === undefined || changedMs >= startedMs || this.#heir.isInUse(id)) continue;
      if (name === id && (await this.#hasRow(id))) continue;
      await fs.rm(this.#state.copyPath(name), { force: true });
    }
  }

  async #hasRow(id: string): Promise<boolean> {
    const rows = await this.#state.database.read("SELECT 1 FROM copies WHERE id = ?", id);
    return rows.length > 0 || this.#heir.isInUse(id);
  }
}
