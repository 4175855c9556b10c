// The thread that owns copies.db (RULES 16): WAL, synchronous=FULL, and group commit. Requests that
// arrive while a commit is under way share the next one; each is answered after the commit that holds it.
//
// A disk that is full must not keep a record from being written (RULES 12): a file beside the database takes up some
// of it. When a commit fails for want of space, that file goes and the commit is tried once more.

import { rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { parentPort } from "node:worker_threads";
import { failPoint } from "../lib/fail-point.ts";
import { prepareDatabase } from "./prepare-database.ts";
import type { DatabaseAnswer, DatabaseOpening, DatabaseRequest, SqlValue } from "./database.ts";

// Result codes of SQLite, https://sqlite.org/rescode.html
const SQLITE_FULL = 13;
const SQLITE_IOERR_WRITE = 778;
const SQLITE_IOERR_SHMSIZE = 4874;

const port = parentPort;
if (port === null) throw new Error("database-thread.ts runs as a worker thread only");

let opened: DatabaseSync | string = "the database was not opened";
let [ballast, commitDelayMs] = ["", 0];

/** The database, or why it cannot be used. */
function open(path: string): DatabaseSync | string {
  let database: DatabaseSync | undefined;
  for (;;) {
    try {
      database = new DatabaseSync(path);
      prepareDatabase(database);
      return database;
    } catch (error) {
      database?.close();
      if (isFull(error) && dropBallast()) continue;
      return messageOf(error);
    }
  }
}

let waiting: DatabaseRequest[] = [];
const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

function statement(database: DatabaseSync, sql: string): ReturnType<DatabaseSync["prepare"]> {
  let prepared = statements.get(sql);
  if (prepared === undefined) {
    prepared = database.prepare(sql);
    prepared.setReadBigInts(true);
    statements.set(sql, prepared);
  }
  return prepared;
}

/** Throws for want of space; every other failure is that of this request alone. */
function perform(database: DatabaseSync, request: DatabaseRequest): DatabaseAnswer {
  try {
    const rows = request.statements.map(({ sql, values }) =>
      sql.startsWith("SELECT")
        ? statement(database, sql).all(...(values as SqlValue[]))
        : (statement(database, sql).run(...(values as SqlValue[])), []),
    );
    return { id: request.id, rows };
  } catch (error) {
    if (isFull(error)) throw error;
    return { id: request.id, error: messageOf(error) };
  }
}

/** A slow disk, acted out for the tests of RULES 16: blocks this thread as an fsync would. */
function waitAsTheDiskWould(): void {
  if (commitDelayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, commitDelayMs);
}

function commitWaiting(): void {
  const requests = waiting;
  waiting = [];
  for (const answer of answersTo(requests)) port?.postMessage(answer);
}

function answersTo(requests: readonly DatabaseRequest[]): DatabaseAnswer[] {
  const database = opened;
  if (typeof database === "string") return requests.map(({ id }) => ({ id, error: database }));
  for (;;) {
    try {
      return commit(database, requests);
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      const full = isFull(error);
      if (full && dropBallast()) continue;
      return requests.map(({ id }) => ({ id, error: messageOf(error), full }));
    }
  }
}

function commit(database: DatabaseSync, requests: readonly DatabaseRequest[]): DatabaseAnswer[] {
  const writes = requests.some((request) => request.statements.some(({ sql }) => !sql.startsWith("SELECT")));
  if (!writes) return requests.map((request) => perform(database, request));
  database.exec("BEGIN IMMEDIATE");
  const answers = requests.map((request) => perform(database, request));
  failPoint("before-state-commit");
  database.exec("COMMIT");
  failPoint("after-state-commit");
  waitAsTheDiskWould();
  return answers;
}

/** Whether there was a ballast to drop. */
function dropBallast(): boolean {
  if (statSync(ballast, { throwIfNoEntry: false }) === undefined) return false;
  rmSync(ballast, { force: true });
  return true;
}

function isFull(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
  return (code & 0xff) === SQLITE_FULL || code === SQLITE_IOERR_WRITE || code === SQLITE_IOERR_SHMSIZE;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

port.on("message", (request: DatabaseOpening | DatabaseRequest | "close") => {
  if (typeof request === "object" && "path" in request) {
    ({ ballast, commitDelayMs } = request);
    opened = open(request.path);
    return;
  }
  if (request === "close") {
    if (waiting.length > 0) commitWaiting();
    if (typeof opened !== "string") opened.close();
    port.close();
    return;
  }
  waiting.push(request);
  if (waiting.length === 1) setImmediate(() => waiting.length > 0 && commitWaiting());
});
