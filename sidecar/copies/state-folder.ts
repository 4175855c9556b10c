// The folder that survives us: copies/, copies.db, and a lock so that only one process uses it (RULES 20).
//
// It belongs to one endpoint, bucket and prefix; another one is refused (RULES 22).

import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { open, unlink, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { lockExclusively } from "../lib/system-calls.ts";
import { Database, type Row } from "./database.ts";

/** The folder cannot be used; the message says why and what to do. */
export class StateFolderError extends Error {
  override readonly name = "StateFolderError";
}

export interface StateIdentity {
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  /** When the bucket was made, in milliseconds since the epoch by its own clock; undefined where that cannot be asked. */
  readonly bucketCreatedMs?: number | undefined;
}

/** TMPFS_MAGIC and OVERLAYFS_SUPER_MAGIC of linux/magic.h. */
const PASSING_FILE_SYSTEMS = new Set([0x01021994, 0x794c7630]);
/** Removed when a record cannot be written for want of space, and made again when there is some (RULES 12). */
const BALLAST = "ballast";

export class StateFolder {
  readonly directory: string;
  readonly database: Database;
  /** What its bucket is; nothing in a folder that has never been used. */
  readonly identity: Partial<StateIdentity>;
  /** Nothing was recorded in it before. */
  readonly isNew: boolean;
  readonly #lock: number;

  private constructor(
    directory: string,
    database: Database,
    lock: number,
    { identity, isNew }: { identity: Partial<StateIdentity>; isNew: boolean },
  ) {
    this.directory = directory;
    this.database = database;
    this.#lock = lock;
    this.identity = identity;
    this.isNew = isNew;
  }

  /**
   * Opens or makes the folder. Refuses one in use, one of another bucket, and one that cannot be understood. Without an
   * identity the folder must be there, and is whoever's it is.
   */
  static async open(
    directory: string,
    wanted: StateIdentity | undefined,
    options: { commitDelayMs?: number } = {},
  ): Promise<StateFolder> {
    if (wanted === undefined && !fs.existsSync(path.join(directory, "copies.db")))
      throw new StateFolderError(
        `there is no state folder at ${directory}; look at --state-dir of the mount`,
      );
    const lock = makeAndLock(directory);
    const file = path.join(directory, "copies.db");
    const database = new Database(file, path.join(directory, BALLAST), options.commitDelayMs);
    try {
      const known = await readIdentity(database, directory);
      if (wanted !== undefined) await checkIdentity(database, directory, known, wanted);
      const isNew = known.endpoint === undefined;
      return new StateFolder(directory, database, lock, { identity: wanted ?? known, isNew });
    } catch (error) {
      await database.close();
      fs.closeSync(lock);
      throw error;
    }
  }

  /** Whether it is on a disk that goes with the container or the machine: its own layer, or memory. */
  get isPassing(): boolean {
    return PASSING_FILE_SYSTEMS.has(fs.statfsSync(this.directory).type);
  }

  get ballastPath(): string {
    return path.join(this.directory, BALLAST);
  }

  copyPath(id: string): string {
    return path.join(this.directory, "copies", id);
  }

  /** Resolves when the disk has the names of all copies there are now. */
  async syncNames(): Promise<void> {
    const folder = await open(path.join(this.directory, "copies"), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
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

async function readIdentity(database: Database, directory: string): Promise<Partial<StateIdentity>> {
  let rows: Row[];
  try {
    rows = await database.read("SELECT key, value FROM identity");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StateFolderError(
      `the state folder ${directory} cannot be used, and nothing in it was changed: ${reason}; ` +
        "start the sidemount that wrote it, or give this mount its own --state-dir",
      { cause: error },
    );
  }
  const found = Object.fromEntries(rows.map(({ key, value }) => [String(key), String(value)]));
  const { endpoint, bucket, prefix, bucketCreatedMs } = found;
  return {
    ...(endpoint === undefined || bucket === undefined || prefix === undefined
      ? {}
      : { endpoint, bucket, prefix }),
    ...(bucketCreatedMs === undefined ? {} : { bucketCreatedMs: Number(bucketCreatedMs) }),
  };
}

async function checkIdentity(
  database: Database,
  directory: string,
  known: Partial<StateIdentity>,
  wanted: StateIdentity,
): Promise<void> {
  for (const key of ["endpoint", "bucket", "prefix"] as const) {
    const found = known[key];
    if (found !== undefined && found !== wanted[key])
      throw new StateFolderError(
        `the state folder ${directory} belongs to ${key} "${found}", not to "${wanted[key]}"${await owedWords(database)}; ` +
          "give this mount its own --state-dir",
      );
  }
  const { bucketCreatedMs: found } = known;
  const { bucketCreatedMs } = wanted;
  if (found !== undefined && bucketCreatedMs !== undefined && found !== bucketCreatedMs)
    throw new StateFolderError(
      `the state folder ${directory} belongs to a bucket "${wanted.bucket}" that was made at ` +
        `${new Date(found).toISOString()}; the one there is now was made at ` +
        `${new Date(bucketCreatedMs).toISOString()}${await owedWords(database)}; give this mount its own --state-dir`,
    );
  const missing = Object.entries(wanted).filter(
    ([key, value]) => value !== undefined && known[key as keyof StateIdentity] === undefined,
  );
  if (missing.length === 0) return; // nothing to wait for the disk for
  await database.write(
    ...missing.map(([key, value]) => ({
      sql: "INSERT OR IGNORE INTO identity (key, value) VALUES (?, ?)",
      values: [key, String(value)],
    })),
  );
}

/** ", and to that 2 uploads … are owed": what would be lost with the folder. "" if nothing. */
async function owedWords(database: Database): Promise<string> {
  const [row] = await database.read(`SELECT
    (SELECT count(*) FROM copies WHERE state IN ('failed', 'unfinished', 'dirty', 'owed')) AS kept,
    (SELECT count(*) FROM patches) + (SELECT count(*) FROM removals) +
    (SELECT count(*) FROM renames) + (SELECT count(*) FROM exchanges) AS changes`);
  const kept = Number(row?.["kept"] ?? 0);
  const changes = Number(row?.["changes"] ?? 0);
  if (kept + changes === 0) return "";
  return (
    `, and to that one are owed the bytes of ${kept} file${kept === 1 ? "" : "s"} and ${changes} other ` +
    `change${changes === 1 ? "" : "s"} (sidemount pending --state-dir tells which)`
  );
}
