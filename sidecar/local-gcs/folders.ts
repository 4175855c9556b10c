// The table of folder resources: what a hierarchical bucket has besides its objects. Names end in "/".

import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";

export interface StoredFolder {
  readonly bucket: string;
  readonly name: string;
  readonly metageneration: number;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export class Folders {
  readonly #find: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #from: StatementSync;
  readonly #between: StatementSync;

  constructor(sql: DatabaseSync) {
    const ordered = "FROM folders WHERE bucket = ? AND name >= ?";
    this.#find = sql.prepare("SELECT * FROM folders WHERE bucket = ? AND name = ?");
    this.#put = sql.prepare(
      "INSERT OR REPLACE INTO folders (bucket, name, metageneration, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?)",
    );
    this.#remove = sql.prepare("DELETE FROM folders WHERE bucket = ? AND name = ?");
    this.#from = sql.prepare(`SELECT * ${ordered} ORDER BY name`);
    this.#between = sql.prepare(`SELECT * ${ordered} AND name < ? ORDER BY name`);
  }

  find(bucket: string, name: string): StoredFolder | undefined {
    const row = this.#find.get(bucket, Buffer.from(name));
    return row === undefined ? undefined : folderOf(row);
  }

  put({ bucket, name, metageneration, createdMs, updatedMs }: StoredFolder): void {
    this.#put.run(bucket, Buffer.from(name), metageneration, createdMs, updatedMs);
  }

  remove(bucket: string, name: string): void {
    this.#remove.run(bucket, Buffer.from(name));
  }

  /** From `from` (inclusive) to `until` (exclusive) in the order of UTF-8 bytes, read as the caller goes on. */
  *scan(bucket: string, from: Buffer, until: Buffer | undefined): Generator<StoredFolder> {
    const rows =
      until === undefined ? this.#from.iterate(bucket, from) : this.#between.iterate(bucket, from, until);
    for (const row of rows) yield folderOf(row);
  }

  isEmpty(bucket: string): boolean {
    return this.#from.get(bucket, Buffer.alloc(0)) === undefined;
  }
}

function folderOf(row: Record<string, SQLOutputValue>): StoredFolder {
  return {
    bucket: String(row["bucket"]),
    name: Buffer.from(row["name"] as Uint8Array).toString("utf8"),
    metageneration: Number(row["metageneration"]),
    createdMs: Number(row["created_ms"]),
    updatedMs: Number(row["updated_ms"]),
  };
}
