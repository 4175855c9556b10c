// The table of live objects, by bucket and name in the order of UTF-8 bytes.

import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { ObjectProperties } from "./properties.ts";

export interface StoredObject {
  readonly bucket: string;
  readonly name: string;
  readonly generation: number;
  readonly metageneration: number;
  readonly size: number;
  readonly crc32c: number;
  /** Base64; absent for composed objects. */
  readonly md5: string | undefined;
  /** How many objects a composed object was made of; undefined for others. */
  readonly componentCount: number | undefined;
  /** Id of the data file; objects made by copying share one. */
  readonly file: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly properties: ObjectProperties;
}

type Row = Record<string, SQLOutputValue>;

/** A row of a scan; the object is only made of it when it is wanted. */
export interface ScannedRow {
  readonly name: Buffer;
  toObject(): StoredObject;
}

export class Objects {
  readonly #find: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #from: StatementSync;
  readonly #between: StatementSync;
  readonly #byFile: StatementSync;

  constructor(sql: DatabaseSync) {
    const ordered = "FROM objects WHERE bucket = ? AND name >= ?";
    this.#find = sql.prepare("SELECT * FROM objects WHERE bucket = ? AND name = ?");
    this.#put =
      sql.prepare(`INSERT OR REPLACE INTO objects (bucket, name, generation, metageneration, size, crc32c, md5,
      component_count, file, created_ms, updated_ms, properties) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#remove = sql.prepare("DELETE FROM objects WHERE bucket = ? AND name = ?");
    this.#from = sql.prepare(`SELECT * ${ordered} ORDER BY name`);
    this.#between = sql.prepare(`SELECT * ${ordered} AND name < ? ORDER BY name`);
    this.#byFile = sql.prepare("SELECT 1 FROM objects WHERE file = ? LIMIT 1");
  }

  find(bucket: string, name: string): StoredObject | undefined {
    const row = this.#find.get(bucket, Buffer.from(name));
    return row === undefined ? undefined : objectOf(row);
  }

  put(object: StoredObject): void {
    const { bucket, name, generation, metageneration, size, crc32c, md5, componentCount } = object;
    const properties = JSON.stringify(object.properties);
    this.#put.run(
      bucket,
      Buffer.from(name),
      generation,
      metageneration,
      size,
      crc32c,
      md5 ?? null,
      componentCount ?? null,
      object.file,
      object.createdMs,
      object.updatedMs,
      properties,
    );
  }

  remove(bucket: string, name: string): void {
    this.#remove.run(bucket, Buffer.from(name));
  }

  /** Rows from `from` (inclusive) to `until` (exclusive), read one by one as the caller goes on. */
  *scan(bucket: string, from: Buffer, until: Buffer | undefined): Generator<ScannedRow> {
    const rows =
      until === undefined ? this.#from.iterate(bucket, from) : this.#between.iterate(bucket, from, until);
    for (const row of rows) yield { name: bytesOf(row["name"]), toObject: () => objectOf(row) };
  }

  isEmpty(bucket: string): boolean {
    return this.#from.get(bucket, Buffer.alloc(0)) === undefined;
  }

  usesFile(file: string): boolean {
    return this.#byFile.get(file) !== undefined;
  }
}

function objectOf(row: Row): StoredObject {
  return {
    bucket: String(row["bucket"]),
    name: bytesOf(row["name"]).toString("utf8"),
    generation: Number(row["generation"]),
    metageneration: Number(row["metageneration"]),
    size: Number(row["size"]),
    crc32c: Number(row["crc32c"]),
    md5: row["md5"] === null ? undefined : String(row["md5"]),
    componentCount: row["component_count"] === null ? undefined : Number(row["component_count"]),
    file: String(row["file"]),
    createdMs: Number(row["created_ms"]),
    updatedMs: Number(row["updated_ms"]),
    properties: JSON.parse(String(row["properties"])) as ObjectProperties,
  };
}

function bytesOf(value: SQLOutputValue | undefined): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError("an object's name is not stored as bytes");
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
