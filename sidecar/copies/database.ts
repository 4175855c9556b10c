// copies.db as the rest of copies/ sees it: statements go to the thread that owns the file and come back
// committed. The thread that answers the kernel never waits for a disk (RULES 16).

import type { Worker } from "node:worker_threads";

import { startThread } from "../lib/thread.ts";

export type SqlValue = string | number | bigint | null;
export type Row = Record<string, SqlValue>;

export interface Statement {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

export interface DatabaseRequest {
  readonly id: number;
  readonly statements: readonly Statement[];
}

export interface DatabaseAnswer {
  readonly id: number;
  readonly rows?: readonly (readonly unknown[])[];
  readonly error?: string;
  /** It failed because the disk is full. */
  readonly full?: boolean;
}

/** The database could not do it. `code` is ENOSPC where the disk is full, as in errors of node:fs. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly code: "ENOSPC" | undefined;

  constructor(message: string, full: boolean) {
    super(`copies.db: ${message}`);
    this.code = full ? "ENOSPC" : undefined;
  }
}

/** The first message to the thread. */
export interface DatabaseOpening {
  readonly path: string;
  readonly ballast: string;
  readonly commitDelayMs: number;
}

let prepared: Worker | undefined;

/** Has the thread of the next database start and load its code now, which takes longer than opening one. */
export function prepareDatabaseThread(): void {
  prepared ??= databaseThread();
  prepared.unref();
}

function databaseThread(): Worker {
  return startThread(new URL("./database-thread.ts", import.meta.url), {
    execArgv: ["--disable-warning=ExperimentalWarning"], // node:sqlite warns at every start that it is new
  });
}

interface Waiting {
  readonly resolve: (rows: readonly (readonly unknown[])[]) => void;
  readonly reject: (error: Error) => void;
}

export class Database {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: Error | undefined;

  /**
   * Opens or makes the database at `path`; one that cannot be used fails every request. The file `ballast` is removed
   * when the disk is full. `commitDelayMs` acts out a slow disk in tests.
   */
  constructor(path: string, ballast: string, commitDelayMs = 0) {
    this.#thread = prepared ?? databaseThread();
    prepared = undefined;
    this.#thread.postMessage({ path, ballast, commitDelayMs } satisfies DatabaseOpening);
    this.#thread.on("message", (answer: DatabaseAnswer) => this.#answered(answer));
    this.#thread.on("error", (error: Error) => this.#failed(error));
    this.#thread.on("exit", () => this.#failed(new Error("the database thread ended")));
    this.#thread.unref();
  }

  /** Runs the statements in one transaction; resolves once it is committed and synced. */
  async write(...statements: Statement[]): Promise<void> {
    await this.#request(statements);
  }

  /** Rows of one SELECT. Integers come as bigint. */
  async read(sql: string, ...values: SqlValue[]): Promise<Row[]> {
    const [rows] = await this.#request([{ sql, values }]);
    return (rows ?? []) as Row[];
  }

  /** Commits what waits and closes the file. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    const gone = new Promise<void>((resolve) => this.#thread.once("exit", () => resolve()));
    this.#thread.ref();
    this.#thread.postMessage("close");
    await gone;
  }

  #request(statements: readonly Statement[]): Promise<readonly (readonly unknown[])[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    this.#thread.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#thread.postMessage({ id, statements } satisfies DatabaseRequest);
    });
  }

  #answered({ id, rows, error, full = false }: DatabaseAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#thread.unref();
    if (error === undefined) waiting?.resolve(rows ?? []);
    else waiting?.reject(new DatabaseError(error, full));
  }

  #failed(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
