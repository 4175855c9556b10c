// The table of buckets.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { bucketNotFound } from "./api-error.ts";
import type { StoredBucket } from "./resources.ts";

export class Buckets {
  readonly #find: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #all: StatementSync;

  constructor(sql: DatabaseSync) {
    this.#find = sql.prepare("SELECT resource FROM buckets WHERE name = ?");
    this.#put = sql.prepare("INSERT OR REPLACE INTO buckets (name, resource) VALUES (?, ?)");
    this.#remove = sql.prepare("DELETE FROM buckets WHERE name = ?");
    this.#all = sql.prepare("SELECT resource FROM buckets ORDER BY name");
  }

  find(name: string): StoredBucket | undefined {
    const row = this.#find.get(name);
    return row === undefined ? undefined : (JSON.parse(String(row["resource"])) as StoredBucket);
  }

  /** The bucket, or the 404 that is told from a missing object by its message. */
  get(name: string): StoredBucket {
    const bucket = this.find(name);
    if (bucket === undefined) throw bucketNotFound();
    return bucket;
  }

  put(bucket: StoredBucket): void {
    this.#put.run(bucket.name, JSON.stringify(bucket));
  }

  remove(name: string): void {
    this.#remove.run(name);
  }

  all(): StoredBucket[] {
    return this.#all.all().map((row) => JSON.parse(String(row["resource"])) as StoredBucket);
  }
}
