// The server's SQLite file: schema, lock and group commit.
//
// A commit is on disk before anyone hears of it (WAL, synchronous=FULL). Works that are asked for in one turn of
// the event loop share one commit; each sees the changes of those before it, and one that throws leaves nothing
// behind. The file is locked exclusively, so a second server on the same directory is refused; the lock is the
// kernel's and ends with the process, however it ends.

import { DatabaseSync, type StatementSync } from "node:sqlite";

const schema = `
  CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, resource TEXT NOT NULL) WITHOUT ROWID;
  -- Names are BLOBs: their order is the order of UTF-8 bytes, and positions between names can be written down.
  CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name BLOB NOT NULL, generation INTEGER NOT NULL, metageneration INTEGER NOT NULL,
    size INTEGER NOT NULL, crc32c INTEGER NOT NULL, md5 TEXT, component_count INTEGER, file TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, properties TEXT NOT NULL,
    PRIMARY KEY (bucket, name)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS objects_by_file ON objects (file);
  CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, persisted INTEGER NOT NULL,
    state TEXT NOT NULL, request TEXT NOT NULL, result TEXT, started_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS sessions_by_file ON sessions (file);
  -- Topics and subscriptions of Pub/Sub.
  CREATE TABLE IF NOT EXISTS pubsub (name TEXT PRIMARY KEY, resource TEXT NOT NULL) WITHOUT ROWID;
  -- Only hierarchical buckets have rows in these two.
  CREATE TABLE IF NOT EXISTS folders (
    bucket TEXT NOT NULL, name BLOB NOT NULL, metageneration INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL, PRIMARY KEY (bucket, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS folder_renames (
    bucket TEXT NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL,
    started_ms INTEGER NOT NULL, ended_ms INTEGER, failure TEXT, PRIMARY KEY (bucket, id)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS folder_renames_running ON folder_renames (ended_ms) WHERE ended_ms IS NULL;
`;

export class DirectoryInUse extends Error {
  override readonly name = "DirectoryInUse";
}

/** What a piece of work may ask for inside its transaction. */
export interface Transaction {
  /** Calls `action` once the work is committed; never if it fails. */
  afterCommit(action: () => void): void;
}

interface Pending {
  run(): void;
  settle(failure: Error | undefined): void;
}

export class Database {
  readonly sql: DatabaseSync;
  readonly #queue: Pending[] = [];
  readonly #steps: Readonly<Record<"begin" | "commit" | "mark" | "undo" | "keep", StatementSync>>;
  readonly #beforeCommit: (() => void)[] = [];

  constructor(path: string) {
    this.sql = open(path);
    this.#steps = {
      begin: this.sql.prepare("BEGIN IMMEDIATE"),
      commit: this.sql.prepare("COMMIT"),
      mark: this.sql.prepare("SAVEPOINT work"),
      undo: this.sql.prepare("ROLLBACK TO work"),
      keep: this.sql.prepare("RELEASE work"),
    };
  }

  /** Registers what every group of changes has to write down with them. */
  beforeCommit(action: () => void): void {
    this.#beforeCommit.push(action);
  }

  /** Runs `work` in a transaction and resolves with its result once that is on disk. */
  commit<T>(work: (transaction: Transaction) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#queue.length === 0) setImmediate(() => this.#commitAll());
      this.#queue.push(pendingWork(work, resolve, reject));
    });
  }

  close(): void {
    this.#commitAll();
    this.sql.close();
  }

  #commitAll(): void {
    const works = this.#queue.splice(0);
    if (works.length === 0) return;
    let failure: Error | undefined;
    try {
      this.#steps.begin.run();
      for (const work of works) this.#runApart(work);
      for (const action of this.#beforeCommit) action();
      this.#steps.commit.run();
    } catch (error) {
      failure = new Error("The metadata could not be committed.", { cause: error });
      if (this.sql.isTransaction) this.sql.exec("ROLLBACK");
    }
    for (const work of works) work.settle(failure);
  }

  #runApart(work: Pending): void {
    this.#steps.mark.run();
    try {
      work.run();
    } catch {
      // The work keeps its own error for whoever asked; the others in the group go on.
      this.#steps.undo.run();
    }
    this.#steps.keep.run();
  }
}

function pendingWork<T>(
  work: (transaction: Transaction) => T,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): Pending {
  let outcome: { value: T } | { error: unknown } | undefined;
  const actions: (() => void)[] = [];
  return {
    run() {
      try {
        outcome = { value: work({ afterCommit: (action) => actions.push(action) }) };
      } catch (error) {
        outcome = { error };
        throw error;
      }
    },
    settle(failure) {
      if (outcome !== undefined && "error" in outcome) return reject(outcome.error);
      if (failure !== undefined || outcome === undefined) return reject(failure);
      for (const action of actions) action();
      resolve(outcome.value);
    },
  };
}

function open(path: string): DatabaseSync {
  const sql = new DatabaseSync(path);
  try {
    // The exclusive lock is asked for before WAL is entered: then no shared-memory file is needed either.
    sql.exec("PRAGMA locking_mode=EXCLUSIVE; PRAGMA busy_timeout=0; PRAGMA journal_mode=WAL");
    sql.exec("PRAGMA synchronous=FULL; PRAGMA cache_size=-32768; BEGIN EXCLUSIVE; COMMIT");
    sql.exec(schema);
    return sql;
  } catch (error) {
    sql.close();
    if (!isBusy(error)) throw error;
    throw new DirectoryInUse("Another local-gcs server is using this directory.", { cause: error });
  }
}

// SQLITE_BUSY is 5; extended codes carry it in the low byte (https://sqlite.org/rescode.html).
function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === 5;
}
