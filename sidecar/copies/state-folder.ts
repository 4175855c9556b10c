// The folder that survives us: copies/, copies.db, and a lock so that only one process uses it (RULES 20).
//
// It belongs to one endpoint, bucket and prefix; another one is refused (RULES 22).

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { open, unlink, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { lockExclusively } from "../lib/system-calls.ts";
import { Database } from "./database.ts";
import { SCHEMA_VERSION } from "./schema.ts";

/** The folder cannot be used; the message says why and what to do. */
export class StateFolderError extends Error {
  override readonly name = "StateFolderError";
}

export interface StateIdentity {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
}

export class StateFolder {
  readonly directory: string;
  readonly database: Database;
  readonly #lock: number;

  private constructor(directory: string, database: Database, lock: number) {
    this.directory = directory;
    this.database = database;
    this.#lock = lock;
  }

  /** Opens or makes the folder. Refuses one in use, one of another bucket, and one from a newer version. */
  static async open(
    directory: string,
    identity: StateIdentity,
    options: { commitDelayMs?: number } = {},
  ): Promise<StateFolder> {
    const lock = makeAndLock(directory);
    const database = new Database(path.join(directory, "copies.db"), options.commitDelayMs);
    try {
      await checkIdentity(database, directory, { ...identity, schema: String(SCHEMA_VERSION) });
    } catch (error) {
      await database.close();
      fs.closeSync(lock);
      throw error;
    }
    return new StateFolder(directory, database, lock);
  }

  copyPath(id: string): string {
    return path.join(this.directory, "copies", id);
  }

  /** A file without a name, for what need not outlive the process. Its owner closes it. */
  async openNameless(): Promise<FileHandle> {
    const place = this.copyPath(randomUUID());
    const file = await open(place, "wx+", 0o600);
    await unlink(place);
    return file;
  }

  async close(): Promise<void> {
    await this.database.close();
    fs.closeSync(this.#lock);
  }
}

function makeAndLock(directory: string): number {
  try {
    fs.mkdirSync(path.join(directory, "copies"), { recursive: true, mode: 0o700 });
    return takeLock(directory);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!["EACCES", "EPERM", "EROFS", "ENOTDIR"].includes(code)) throw error;
    throw new StateFolderError(
      `the state folder ${directory} cannot be used by this user (${code}); name another one with --state-dir`,
      { cause: error },
    );
  }
}

function takeLock(directory: string): number {
  const descriptor = fs.openSync(path.join(directory, "lock"), "a+", 0o600);
  if (lockExclusively(descriptor)) {
    fs.ftruncateSync(descriptor, 0);
    fs.writeSync(descriptor, `${process.pid}\n`);
    return descriptor;
  }
  const owner = fs.readFileSync(path.join(directory, "lock"), "utf8").trim();
  fs.closeSync(descriptor);
  throw new StateFolderError(
    `the state folder ${directory} is in use by process ${owner || "(unknown)"}; stop that mount or give this one its own --state-dir`,
  );
}

async function checkIdentity(
  database: Database,
  directory: string,
  wanted: Record<string, string>,
): Promise<void> {
  const rows = await database.read("SELECT key, value FROM identity");
  const found = Object.fromEntries(rows.map(({ key, value }) => [String(key), String(value)]));
  for (const [key, value] of Object.entries(wanted)) {
    if (found[key] !== undefined && found[key] !== value) {
      throw new StateFolderError(
        `the state folder ${directory} belongs to ${key} "${found[key]}", not to "${value}"; give this mount its own --state-dir`,
      );
    }
  }
  await database.write(
    ...Object.entries(wanted).map(([key, value]) => ({
      sql: "INSERT OR IGNORE INTO identity (key, value) VALUES (?, ?)",
      values: [key, value],
    })),
  );
}
