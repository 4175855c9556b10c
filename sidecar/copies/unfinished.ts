// Bytes that a run had not brought into the bucket when it was killed (RULES 10): found at the next start, compared with
// what the bucket has, and kept for a person if they differ.

import { setTimeout as delay } from "node:timers/promises";
import fs from "node:fs/promises";
import type { Bucket } from "../bucket/bucket.ts";
import { combineCrc32c } from "../lib/crc32c-combine.ts";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import type { KeptCopies, KeptCopy } from "./kept.ts";
import type { Statement } from "./database.ts";
import type { StateFolder } from "./state-folder.ts";
import { sumRange } from "./sum-range.ts";

/** A start waits so long for the comparison; what it does not reach is compared later. */
const PATIENCE_MS = 5_000;

/** Makes what was being changed when the earlier run ended into entries of the list. Call before any copy is made. */
export async function keepUnfinished(
  state: StateFolder,
  nowMs: number,
  isInUse: (id: string) => boolean,
): Promise<void> {
  const { database } = state;
  const rows = await database.read(
    "SELECT id, state, changed, used_ms FROM copies WHERE state IN ('dirty', 'uploaded')",
  );
  const statements: Statement[] = [];
  const empty: string[] = [];
  for (const row of rows) {
    const id = String(row["id"]);
    if (isInUse(id)) continue; // of a file that programs still have open, under another worker
    const status = await fs.stat(state.copyPath(id)).catch(() => undefined);
    if (row["state"] === "dirty" && status?.size === 0) {
      // Nothing had been written, or all of it taken back: there is nothing to keep.
      statements.push({ sql: "DELETE FROM copies WHERE id = ?", values: [id] });
      empty.push(id);
      continue;
    }
    // Nothing was changed behind our back since then: the next one who would have was to note it first.
    const unchanged = row["changed"] === "nothing" || (status?.ctimeMs ?? 0) <= Number(row["used_ms"]);
    if (row["state"] === "uploaded" && unchanged) continue;
    statements.push({
      sql: "UPDATE copies SET state = 'unfinished', kept_ms = ?, bytes = ? WHERE id = ?",
      values: [nowMs, (status?.blocks ?? 0) * 512, id],
    });
  }
  if (statements.length > 0) await database.write(...statements); // in one wait for the disk
  for (const id of empty) await fs.rm(state.copyPath(id), { force: true });
}

/** What a start does with the list of an earlier run. */
export interface Comparing {
  readonly bucket: Pick<Bucket, "stat">;
  readonly kept: KeptCopies;
  readonly background: Background;
  readonly log: Log;
}

/**
 * Drops unfinished bytes that the bucket has under their name, and reports the others. Resolves when that is done, or
 * after five seconds; it then goes on.
 */
export async function compareUnfinished(comparing: Comparing): Promise<void> {
  const { kept, background } = comparing;
  const { failed, unfinished } = await kept.counts();
  if (failed + unfinished === 0) return;
  const done = Promise.withResolvers<void>();
  background.start("compare unfinished", async () => {
    try {
      for (const entry of await kept.list()) await compare(entry, comparing);
    } finally {
      done.resolve();
    }
  });
  await Promise.race([done.promise, delay(PATIENCE_MS, undefined, { ref: false })]);
}

async function compare(entry: KeptCopy, { bucket, kept, log }: Comparing): Promise<void> {
  const { id, object, state, reason, supersededMs } = entry;
  if (state === "unfinished" && (await bucketHas(entry, bucket))) {
    await kept.drop(id);
    log.info({ object, copy: id }, "what an earlier run was writing had reached the bucket");
  } else if (supersededMs === undefined)
    log.warn(
      { object, copy: id, state, error: reason },
      "bytes of an earlier run may not have reached the bucket; they are kept, see `sidemount pending`",
    );
}

/** Whether the object of that name has exactly these bytes. False where that cannot be found out. */
export async function bucketHas(entry: KeptCopy, bucket: Pick<Bucket, "stat">): Promise<boolean> {
  if (entry.object === "") return false;
  try {
    const { value: live } = await bucket.stat(entry.object);
    if (live === undefined || live.size !== entry.size) return false;
    return live.crc32c === (await sumOf(entry));
  } catch {
    return false; // the list keeps it
  }
}

/** CRC32C of all its bytes, as far as what is here and what is known of the version tell. */
async function sumOf({ path, size, present, version, changed }: KeptCopy): Promise<number | undefined> {
  if (present === undefined) return sum(path, 0, size);
  if (changed !== "appended" || version === undefined || size < version.size) return undefined;
  return combineCrc32c(version.crc32c, await sum(path, version.size, size), size - version.size);
}

async function sum(path: string, start: number, end: number): Promise<number> {
  const file = await fs.open(path, "r");
  try {
    return await sumRange(file, start, end);
  } finally {
    await file.close();
  }
}
