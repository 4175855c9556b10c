// What an earlier run left in the state folder: its cache is taken over, its unfinished work kept and reported, the
// rest erased.

import fs from "node:fs/promises";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import type { SqlValue } from "./database.ts";
import type { StateFolder } from "./state-folder.ts";
import { keepUnfinished } from "./unfinished.ts";

/** Rows taken into the cache's order at a time after a start; none are needed to begin (RULES 20). */
const ROWS_PER_STEP = 500;

/** Names of copies, and what is put behind them for files that are needed for a moment only. */
const COPY_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const OF_A_COPY = /\.(clone|whole)$/;
/** Of what is not known, so many are named in the log. */
const EXAMPLES = 5;

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
    const startedMs = Date.now();
    await keepUnfinished(this.#state, startedMs, (id) => this.#heir.isInUse(id));
    const [any] = await database.read("SELECT 1 FROM copies WHERE state IN ('clean', 'partial') LIMIT 1");
    this.#any = any !== undefined;
    this.#heir.background.start("take over cache", async () => {
      await this.#takeOverOrder();
      await this.#eraseUseless();
      await database.write({
        sql: "DELETE FROM uploads WHERE copy_id NOT IN (SELECT id FROM copies)",
        values: [],
      });
      await this.#eraseStrays(startedMs);
      await this.#reportUnknown();
    });
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

  /** Copies the bucket had when the earlier run ended, and those whose name a program had taken away. */
  async #eraseUseless(): Promise<void> {
    const rows = await this.#state.database.read(
      "SELECT id FROM copies WHERE state IN ('uploaded', 'unlinked')",
    );
    for (const { id } of rows) if (!this.#heir.isInUse(String(id))) await this.#heir.erase(String(id));
  }

  /** Files that no row speaks of: fetched, but not kept before the run ended. Other files are not ours to erase. */
  async #eraseStrays(startedMs: number): Promise<void> {
    const unknown: string[] = [];
    for await (const { name } of await fs.opendir(this.#state.copyPath(""))) {
      const id = name.replace(OF_A_COPY, "");
      if (name === id && this.#heir.isResting(id)) continue;
      const changedMs = (await fs.stat(this.#state.copyPath(name)).catch(() => undefined))?.ctimeMs;
      if (changedMs === undefined || changedMs >= startedMs || this.#heir.isInUse(id)) continue;
      if (name === id && (await this.#hasRow(id))) continue;
      if (this.#state.isNew || !COPY_ID.test(id)) unknown.push(name);
      else await fs.rm(this.#state.copyPath(name), { force: true });
    }
    if (unknown.length > 0)
      this.#heir.log.warn(
        { folder: this.#state.copyPath(""), count: unknown.length, examples: unknown.slice(0, EXAMPLES) },
        "files in the state folder are not known to its database; they are left alone",
      );
  }

  async #reportUnknown(): Promise<void> {
    const rows = await this.#state.database.read(
      `SELECT id, object, state FROM copies WHERE state NOT IN
       ('clean', 'partial', 'dirty', 'owed', 'uploaded', 'unlinked', 'unfinished', 'failed') LIMIT ${EXAMPLES}`,
    );
    for (const { id, object, state } of rows)
      this.#heir.log.warn(
        { copy: id, object, state },
        "a record in the state folder has an unknown state; it is left alone",
      );
  }

  async #hasRow(id: string): Promise<boolean> {
    const rows = await this.#state.database.read("SELECT 1 FROM copies WHERE id = ?", id);
    return rows.length > 0 || this.#heir.isInUse(id);
  }
}
