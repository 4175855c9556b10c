// The thread that owns copies.db (RULES 16): WAL, synchronous=FULL, and group commit. Requests that
// arrive while a commit is under way share the next one; each is answered after the commit that holds it.

import { DatabaseSync } from "node:sqlite";
import { parentPort } from "node:worker_threads";
import { failPoint } from "../lib/fail-point.ts";
import { SCHEMA } from "./schema.ts";
import type { DatabaseAnswer, DatabaseOpening, DatabaseRequest, SqlValue } from "./database.ts";

const port = parentPort;
if (port === null) throw new Error("database-thread.ts runs as a worker thread only");

let database: DatabaseSync;
let commitDelayMs = 0;

function open(opening: DatabaseOpening): void {
  commitDelayMs = opening.commitDelayMs;
  database = new DatabaseSync(opening.path);
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;");
  database.exec(SCHEMA);
}

let waiting: DatabaseRequest[] = [];

function statement(sql: string): ReturnType<DatabaseSync["prepare"]> {
  let prepared = statements.get(sql);
  if (prepared === undefined) {
    prepared = database.prepare(sql);
    prepared.setReadBigInts(true);
    statements.set(sql, prepared);
  }
  return prepared;
}
const statements = new Map<string, ReturnType<DatabaseSync["prepare"]>>();

function perform(request: DatabaseRequest): DatabaseAnswer {
  try {
    const rows = request.statements.map(({ sql, values }) =>
      sql.startsWith("SELECT")
        ? statement(sql).all(...(values as SqlValue[]))
        : (statement(sql).run(...(values as SqlValue[])), []),
    );
    return { id: request.id, rows };
  } catch (error) {
    return { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
}

/** A slow disk, acted out for the tests of RULES 16: blocks this thread as an fsync would. */
function waitAsTheDiskWould(): void {
  if (commitDelayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, commitDelayMs);
}

function commitWaiting(): void {
  const requests = waiting;
  waiting = [];
  const writes = requests.some((request) => request.statements.some(({ sql }) => !sql.startsWith("SELECT")));
  let answers: DatabaseAnswer[];
  try {
    if (writes) database.exec("BEGIN IMMEDIATE");
    answers = requests.map(perform);
    if (writes) {
      failPoint("before-state-commit");
      database.exec("COMMIT");
      failPoint("after-state-commit");
      waitAsTheDiskWould();
    }
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    const reason = error instanceof Error ? error.message : String(error);
    answers = requests.map(({ id }) => ({ id, error: reason }));
  }
  for (const answer of answers) port?.postMessage(answer);
}

port.on("message", (request: DatabaseOpening | DatabaseRequest | "close") => {
  if (typeof request === "object" && "path" in request) return open(request);
  if (request === "close") {
    if (waiting.length > 0) commitWaiting();
    database.close();
    port.close();
    return;
  }
  waiting.push(request);
  if (waiting.length === 1) setImmediate(() => waiting.length > 0 && commitWaiting());
});
