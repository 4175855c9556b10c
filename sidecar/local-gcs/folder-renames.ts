// Renames of folders, which are long-running operations: asked for in one commit, carried out in another.
//
// Until it is carried out everything is where it was, and can be read but not written, as the destination cannot.
// Then all of it is somewhere else at once. An operation that was asked for is carried out, also by a server that
// starts after this one has ended.

import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { ApiError } from "./api-error.ts";

export interface FolderRename {
  readonly bucket: string;
  /** Identifies the operation in its bucket. */
  readonly id: string;
  readonly source: string;
  readonly destination: string;
  readonly startedMs: number;
  /** Undefined while the operation runs. */
  readonly endedMs: number | undefined;
  /** Why nothing was renamed. */
  readonly failure: string | undefined;
}

export class FolderRenames {
  /** How long an operation runs, what becomes of it, and whether objects get new generations: for tests. */
  takesMs = 0;
  fails = false;
  newGenerations = false;
  readonly #put: StatementSync;
  readonly #find: StatementSync;
  readonly #running: StatementSync;
  readonly #all: StatementSync;
  readonly #forget: StatementSync;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(sql: DatabaseSync) {
    this.#put = sql.prepare(
      `INSERT OR REPLACE INTO folder_renames (bucket, id, source, destination, started_ms, ended_ms, failure)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#find = sql.prepare("SELECT * FROM folder_renames WHERE bucket = ? AND id = ?");
    this.#running = sql.prepare("SELECT * FROM folder_renames WHERE ended_ms IS NULL");
    this.#all = sql.prepare("SELECT * FROM folder_renames WHERE bucket = ? ORDER BY started_ms, id");
    this.#forget = sql.prepare("DELETE FROM folder_renames WHERE bucket = ?");
  }

  put({ bucket, id, source, destination, startedMs, endedMs, failure }: FolderRename): void {
    this.#put.run(bucket, id, source, destination, startedMs, endedMs ?? null, failure ?? null);
  }

  find(bucket: string, id: string): FolderRename | undefined {
    const row = this.#find.get(bucket, id);
    return row === undefined ? undefined : renameOf(row);
  }

  /** All of a bucket, oldest first. */
  of(bucket: string): FolderRename[] {
    return this.#all.all(bucket).map(renameOf);
  }

  /** Those that are still to be carried out. */
  running(): FolderRename[] {
    return this.#running.all().map(renameOf);
  }

  /** The bucket is gone, and with it what was done in it. */
  forget(bucket: string): void {
    this.#forget.run(bucket);
  }

  /** The operation that moves what has this name, or moves something there. */
  under(bucket: string, name: string): FolderRename | undefined {
    return this.running().find(
      (rename) =>
        rename.bucket === bucket && (name.startsWith(rename.source) || name.startsWith(rename.destination)),
    );
  }

  /** Throws 429, as the service does, if nothing of this name can be written now. */
  checkWritable(bucket: string, name: string): void {
    if (this.under(bucket, name) === undefined) return;
    const message = "A folder rename is in progress on this path. Please retry the request later.";
    throw new ApiError(429, "rateLimitExceeded", message);
  }

  /** Calls `work` when an operation has run as long as operations run. */
  later(work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, this.takesMs);
    this.#timers.add(timer);
  }

  /** What is not carried out yet is left to the next server. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

function renameOf(row: Record<string, SQLOutputValue>): FolderRename {
  return {
    bucket: String(row["bucket"]),
    id: String(row["id"]),
    source: String(row["source"]),
    destination: String(row["destination"]),
    startedMs: Number(row["started_ms"]),
    endedMs: row["ended_ms"] === null ? undefined : Number(row["ended_ms"]),
    failure: row["failure"] === null ? undefined : String(row["failure"]),
  };
}
