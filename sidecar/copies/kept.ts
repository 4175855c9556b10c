// Bytes that are kept for a person: of uploads that failed after the program was told, and of a run that ended before
// it could upload them (RULES 10).
//
// Nothing here is uploaded by itself. What a later upload under the same name has superseded is dropped, the oldest
// first, once all of it takes more than its share of the disk; what was not superseded never is.

import fs from "node:fs/promises";
import type { ObjectInfo } from "../bucket/bucket.ts";
import type { ByteRange } from "../lib/extents.ts";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import {
  decodeRanges,
  intentOfRow,
  versionOfRow,
  type Changed,
  type Intent,
  type Replacing,
} from "./copy-rows.ts";
import type { Row } from "./database.ts";
import type { StateFolder } from "./state-folder.ts";

export interface KeptCopy {
  readonly id: string;
  /** Name in the bucket; "" if it had none any more. */
  readonly object: string;
  readonly state: "failed" | "unfinished" | "owed";
  /** Length of the file. */
  readonly size: number;
  /** When its bytes last changed, in milliseconds since the epoch. */
  readonly modifiedMs: number;
  /** Since when it is kept, likewise; undefined if an earlier version of sidemount kept it. */
  readonly sinceMs: number | undefined;
  readonly reason: string | undefined;
  readonly supersededMs: number | undefined;
  /** Which ranges are here; undefined: all of them. The others belong to `version`. */
  readonly present: readonly ByteRange[] | undefined;
  readonly version: ObjectInfo | undefined;
  readonly changed: Changed | undefined;
  readonly intent: Intent;
  /** Of what is owed: how it may replace what the bucket has. */
  readonly replacing: Replacing | undefined;
  /** The file, for reading only. */
  readonly path: string;
}

const OF_A_PERSON = "state IN ('failed', 'unfinished')";
/** And what is owed, and uploaded by itself. */
const SHOWN = "state IN ('failed', 'unfinished', 'owed')";

export class KeptCopies {
  readonly #state: StateFolder;
  readonly #background: Background;
  readonly #log: Log;
  /** How much of the disk all of it may take before superseded ones go. */
  readonly #shareBytes: number;
  #any = true;
  /** Told how much of the disk is taken, whenever that changes. */
  onChange: (bytes: number) => void = () => {};

  constructor(state: StateFolder, options: { shareBytes: number; background: Background; log: Log }) {
    this.#state = state;
    this.#shareBytes = options.shareBytes;
    this.#background = options.background;
    this.#log = options.log;
  }

  /** All of them, oldest first. A row whose file is gone is left out, one that cannot be read too: both are logged. */
  list(): Promise<KeptCopy[]> {
    return this.#read(`SELECT * FROM copies WHERE ${OF_A_PERSON} ORDER BY coalesce(kept_ms, used_ms), id`);
  }

  /** As `list`, with what is owed and uploaded by itself. */
  listWithOwed(): Promise<KeptCopy[]> {
    return this.#read(`SELECT * FROM copies WHERE ${SHOWN} ORDER BY coalesce(kept_ms, used_ms), id`);
  }

  /** The one of this id, likewise. */
  async get(id: string): Promise<KeptCopy | undefined> {
    const [entry] = await this.#read(`SELECT * FROM copies WHERE ${SHOWN} AND id = ?`, id);
    return entry;
  }

  #read(sql: string, ...values: string[]): Promise<KeptCopy[]> {
    return readKept(this.#state, this.#log, sql, ...values);
  }

  /** How many there are that nothing superseded, by state. */
  async counts(): Promise<{ failed: number; unfinished: number; superseded: number; bytes: number }> {
    const [row] = await this.#state.database.read(
      `SELECT sum(state = 'failed' AND superseded_ms IS NULL) AS failed,
              sum(state = 'unfinished' AND superseded_ms IS NULL) AS unfinished,
              sum(superseded_ms IS NOT NULL) AS superseded, sum(bytes) AS bytes
       FROM copies WHERE ${OF_A_PERSON}`,
    );
    const count = (key: string): number => Number(row?.[key] ?? 0);
    return {
      failed: count("failed"),
      unfinished: count("unfinished"),
      superseded: count("superseded"),
      bytes: count("bytes"),
    };
  }

  /** Nobody needs it any more: the row first, so that no row ever speaks of a file that is gone. */
  async drop(id: string): Promise<void> {
    await this.#state.database.write({
      sql: `DELETE FROM copies WHERE id = ? AND ${OF_A_PERSON}`,
      values: [id],
    });
    await fs.rm(this.#state.copyPath(id), { force: true });
    await this.changed();
  }

  /** An upload under this name has succeeded: what is kept under it is older. */
  superseded(object: string): void {
    if (!this.#any) return;
    const nowMs = Date.now();
    this.#background.start("supersede kept bytes", async () => {
      await this.#state.database.write({
        sql: `UPDATE copies SET superseded_ms = ? WHERE object = ? AND ${OF_A_PERSON}
              AND superseded_ms IS NULL AND coalesce(kept_ms, used_ms) <= ?`,
        values: [nowMs, object, nowMs],
      });
      await this.changed();
    });
  }

  /** After something was kept or dropped. Resolves with how much of the disk is taken. */
  async changed(): Promise<void> {
    let { bytes, failed, unfinished, superseded } = await this.counts();
    this.#any = failed + unfinished + superseded > 0;
    if (superseded > 0 && bytes > this.#shareBytes) bytes = await this.release(bytes - this.#shareBytes);
    this.onChange(bytes);
  }

  /** Drops superseded ones until that much is free, the oldest first. Answers what is left. */
  async release(wantedBytes: number): Promise<number> {
    const rows = await this.#state.database.read(
      `SELECT id, object, bytes FROM copies WHERE ${OF_A_PERSON} AND superseded_ms IS NOT NULL
       ORDER BY coalesce(kept_ms, used_ms), id`,
    );
    let freed = 0;
    for (const { id, object, bytes } of rows) {
      if (freed >= wantedBytes) break;
      const copyId = String(id);
      await this.#state.database.write({ sql: "DELETE FROM copies WHERE id = ?", values: [copyId] });
      await fs.rm(this.#state.copyPath(copyId), { force: true });
      freed += Number(bytes);
      this.#log.info(
        { object, copy: copyId },
        "kept bytes that a later upload superseded were dropped for space",
      );
    }
    return (await this.counts()).bytes;
  }
}

/** What was only appended to has all that lies behind the version. */
function presentRanges(text: string, row: Row, size: number): ByteRange[] {
  const ranges = decodeRanges(text);
  const version = versionOfRow(row);
  if (row["changed"] !== "appended" || version === undefined || size <= version.size) return ranges;
  return [...ranges, { start: version.size, end: size }];
}

/** Copies by a SELECT of whole rows. One whose file is gone is left out, one that cannot be read too: both are logged. */
export async function readKept(
  state: StateFolder,
  log: Log,
  sql: string,
  ...values: string[]
): Promise<KeptCopy[]> {
  const kept: KeptCopy[] = [];
  for (const row of await state.database.read(sql, ...values)) {
    try {
      kept.push(await decode(row, state.copyPath(String(row["id"]))));
    } catch (error) {
      const { id, object } = row;
      log.warn({ copy: id, object, err: error }, "a record of kept bytes cannot be used; it is left alone");
    }
  }
  return kept;
}

async function decode(row: Row, path: string): Promise<KeptCopy> {
  const { size, mtimeMs } = await fs.stat(path);
  const { present, kept_ms: keptMs, superseded_ms: supersededMs, error, changed, state, replacing } = row;
  return {
    id: String(row["id"]),
    object: String(row["object"]),
    state: state === "failed" || state === "owed" ? state : "unfinished",
    size,
    modifiedMs: mtimeMs,
    sinceMs: typeof keptMs === "bigint" ? Number(keptMs) : undefined,
    reason: typeof error === "string" ? error : undefined,
    supersededMs: typeof supersededMs === "bigint" ? Number(supersededMs) : undefined,
    present: typeof present === "string" ? presentRanges(present, row, size) : undefined,
    version: versionOfRow(row),
    changed: typeof changed === "string" ? (changed as Changed) : undefined,
    intent: intentOfRow(row),
    replacing: typeof replacing === "string" ? (replacing as Replacing) : undefined,
    path,
  };
}
