// handover.db: what a restarted worker must know of its predecessor under the same mount (DESIGN.md §3).
//
// It outlives a killed process, not a lost machine: nothing is synced. Statements run on the thread that answers the
// kernel, since they only reach the page cache (about 10 µs each), and before the answer that makes them matter.

import fs from "node:fs";
import { DatabaseSync } from "node:sqlite";

export type HandoverValue = string | number | bigint | Uint8Array | null;
export type HandoverRow = Record<string, HandoverValue>;

/** Raised when tables or records change: a worker of another version must not guess. */
export const HANDOVER_VERSION = 1;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS settings (
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL           -- v8.serialize
) STRICT;

-- What the kernel of the app's mount knows by number, and what is open.
CREATE TABLE IF NOT EXISTS nodes (
  inode INTEGER PRIMARY KEY,
  record BLOB NOT NULL          -- node-record.ts
) STRICT;

-- Open folders, each with the listing that positions refer to.
CREATE TABLE IF NOT EXISTS directories (
  face TEXT NOT NULL,           -- app | serve
  handle INTEGER NOT NULL,
  record BLOB NOT NULL,
  PRIMARY KEY (face, handle)
) STRICT;

-- What the kernel of the serve mount knows by number.
CREATE TABLE IF NOT EXISTS served (
  inode INTEGER PRIMARY KEY,
  record BLOB NOT NULL
) STRICT;

-- Requests that change something: begun, and what was answered (RULES 18).
CREATE TABLE IF NOT EXISTS requests (
  id INTEGER PRIMARY KEY,
  begun BLOB,                   -- what its work needs to know when it is run again
  answer BLOB,
  deaths INTEGER NOT NULL DEFAULT 0
) STRICT;
`;

/** The database was written by a version this one does not understand. */
export class HandoverMismatch extends Error {
  override readonly name = "HandoverMismatch";
}

export class HandoverDatabase {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

  /** Opens or makes it. Throws HandoverMismatch. Its folder must exist. */
  constructor(path: string) {
    this.#path = path;
    this.#database = new DatabaseSync(path);
    // Of one process at a time: without shared memory, and the lock goes with the process.
    this.#database.exec(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;",
    );
    const found = Number(this.#database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
    if (found !== 0 && found !== HANDOVER_VERSION) {
      this.#database.close();
      throw new HandoverMismatch(`handover.db has version ${found}, this worker knows ${HANDOVER_VERSION}`);
    }
    this.#database.exec(SCHEMA);
    this.#database.exec(`PRAGMA user_version=${HANDOVER_VERSION}`);
  }

  /** Runs one statement. */
  run(sql: string, ...values: HandoverValue[]): void {
    this.#prepared(sql).run(...values);
  }

  /** Rows of one SELECT, as they are asked for. */
  rows(sql: string, ...values: HandoverValue[]): Iterable<HandoverRow> {
    return this.#prepared(sql).iterate(...values) as Iterable<HandoverRow>;
  }

  /** The first row of a SELECT. */
  row(sql: string, ...values: HandoverValue[]): HandoverRow | undefined {
    return this.#prepared(sql).get(...values) as HandoverRow | undefined;
  }

  /** All statements of `work`, or none. */
  transaction(work: () => void): void {
    this.#database.exec("BEGIN");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** It does not say what is any more: no later worker shall believe it. */
  abandon(): void {
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(this.#path + suffix, { force: true });
    this.close();
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepared(sql: string): ReturnType<DatabaseSync["prepare"]> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
