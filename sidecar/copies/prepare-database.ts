// What is done with copies.db before it is used: made, brought up to date, or refused with a sentence.

import type { DatabaseSync } from "node:sqlite";
import { MIGRATIONS, SCHEMA, SCHEMA_VERSION } from "./schema.ts";

/**
 * Makes the tables, or brings those of an earlier version up to date in one transaction. Throws, and changes nothing, if
 * they are of a newer version or cannot be understood.
 */
export function prepareDatabase(database: DatabaseSync): void {
  const found = versionOf(database);
  if (found > SCHEMA_VERSION)
    throw new Error(
      `it was written by a newer sidemount (tables of version ${found}, this one knows ${SCHEMA_VERSION})`,
    );
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;");
  if (found === SCHEMA_VERSION) return; // programs may be waiting for a new worker, and each commit for the disk
  database.exec("BEGIN IMMEDIATE");
  try {
    for (let version = found; version > 0 && version < SCHEMA_VERSION; version += 1) {
      database.exec(MIGRATIONS[version] ?? "");
    }
    database.exec(SCHEMA);
    database
      .prepare("INSERT OR REPLACE INTO identity (key, value) VALUES ('schema', ?)")
      .run(String(SCHEMA_VERSION));
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Version of the tables that are there; 0 if there are none. */
function versionOf(database: DatabaseSync): number {
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const names = new Set(tables.map(({ name }) => name));
  if (names.size === 0) return 0;
  if (!names.has("identity") || !names.has("copies"))
    throw new Error("its tables are not those of sidemount");
  const row = database.prepare("SELECT value FROM identity WHERE key = 'schema'").get();
  if (row === undefined) return 1; // the first version noted it after it had made the tables
  const version = Number(row["value"]);
  if (!Number.isInteger(version) || version < 1)
    throw new Error(`its tables are of an unknown version "${String(row["value"])}"`);
  return version;
}
