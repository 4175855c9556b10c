// Work that was acknowledged, or begun, and that a later run must know of: rows of copies.db.

import type { Database, Statement } from "./database.ts";
import { patchesGone, patchesNotComing, renamedBelow } from "./renamed-folder.ts";

export interface OwedPatch {
  readonly object: string;
  readonly generation: bigint;
  readonly metadata: Record<string, string | null>;
  /**
   * While a rename brings the version under this name: what tells that it has arrived, with a generation that nobody knows
   * beforehand (`contentOf`). Undefined: it is there.
   */
  readonly content?: string | undefined;
}

/** What an object keeps wherever it is moved. */
export function contentOf({ crc32c, size }: { readonly crc32c: number; readonly size: number }): string {
  return `${crc32c}:${size}`;
}

export interface OwedRemoval {
  readonly name: string;
  readonly generation: bigint;
}

export interface OwedRename {
  readonly source: string;
  readonly destination: string;
}

/** Two objects that swap names; `aside` is where the first is kept meanwhile. */
export interface OwedExchange {
  readonly aside: string;
  readonly one: OwedRemoval;
  readonly other: OwedRemoval;
}

/** How much there is of each kind. */
export interface OwedCounts {
  readonly patches: number;
  readonly removals: number;
  readonly renames: number;
  readonly exchanges: number;
}

/** Each call resolves when the disk has it. */
export class OwedWork {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Metadata that belongs to this version and is not in the bucket yet. */
  owePatch(patch: OwedPatch): Promise<void> {
    return this.#database.write(recordOf(patch));
  }

  patchDone(object: string): Promise<void> {
    return this.#database.write({ sql: "DELETE FROM patches WHERE object = ?", values: [object] });
  }

  /** The version it belongs to is gone. */
  patchMoot(object: string, generation: bigint): Promise<void> {
    return this.#database.write({
      sql: "DELETE FROM patches WHERE object = ? AND generation = ?",
      values: [object, generation],
    });
  }

  /** Every object below `source` is to be below `destination`, with `patches` there. Both end in "/". */
  oweRename({ source, destination }: OwedRename, patches: readonly OwedPatch[] = []): Promise<void> {
    return this.#database.write(
      {
        sql: "INSERT OR REPLACE INTO renames (source, destination) VALUES (?, ?)",
        values: [source, destination],
      },
      ...patches.map(recordOf),
    );
  }

  /** As `renameDone`, where the bucket has renamed the folder as a whole: what is known of its objects goes along. */
  folderRenamed(rename: OwedRename, sameVersions: boolean): Promise<void> {
    return this.#database.write(...renamedBelow(rename, sameVersions), renameGone(rename.source));
  }

  renameDone(source: string): Promise<void> {
    return this.#database.write(renameGone(source));
  }

  /** As `renameDone`, where it is known what the attributes that are owed below it belong to now. */
  renameSettled({ source, destination }: OwedRename, patches: readonly OwedPatch[]): Promise<void> {
    return this.#database.write(
      patchesGone(source),
      patchesNotComing(destination),
      ...patches.map(recordOf),
      renameGone(source),
    );
  }

  /** Nothing is to be below `destination` after all. */
  renameUndone({ source, destination }: OwedRename, patches: readonly OwedPatch[]): Promise<void> {
    return this.#database.write(patchesNotComing(destination), ...patches.map(recordOf), renameGone(source));
  }

  oweExchange({ aside, one, other }: OwedExchange): Promise<void> {
    return this.#database.write({
      sql: "INSERT INTO exchanges (aside, one, one_generation, other, other_generation) VALUES (?, ?, ?, ?, ?)",
      values: [aside, one.name, one.generation, other.name, other.generation],
    });
  }

  exchangeDone({ aside }: OwedExchange): Promise<void> {
    return this.#database.write({ sql: "DELETE FROM exchanges WHERE aside = ?", values: [aside] });
  }

  /** The name is gone for programs; the object goes when its readers need it no more. */
  oweRemoval({ name, generation }: OwedRemoval): Promise<void> {
    return this.#database.write({
      sql: "INSERT OR IGNORE INTO removals (object, generation) VALUES (?, ?)",
      values: [name, generation],
    });
  }

  removalDone({ name, generation }: OwedRemoval): Promise<void> {
    return this.#database.write({
      sql: "DELETE FROM removals WHERE object = ? AND generation = ?",
      values: [name, generation],
    });
  }

  /** Uploads that may still arrive under a name where nobody wants them any more (RULES 6). */
  bury(object: string, operations: readonly string[], sinceMs: number): Promise<void> {
    return this.#database.write(
      ...operations.map((operation) => ({
        sql: "INSERT OR REPLACE INTO tombstones (object, operation, since_ms) VALUES (?, ?, ?)",
        values: [object, operation, sinceMs],
      })),
    );
  }

  forgetBuried(object: string): Promise<void> {
    return this.#database.write({ sql: "DELETE FROM tombstones WHERE object = ?", values: [object] });
  }

  async buried(): Promise<{ object: string; operation: string; sinceMs: number }[]> {
    const rows = await this.#database.read("SELECT object, operation, since_ms FROM tombstones");
    return rows.map(({ object, operation, since_ms: sinceMs }) => ({
      object: String(object),
      operation: String(operation),
      sinceMs: Number(sinceMs),
    }));
  }

  /** Where a resumable upload goes on after a crash (RULES 20). */
  uploadStarted(copyId: string, object: string, operationId: string, sessionUrl: string): Promise<void> {
    return this.#database.write({
      sql: "INSERT OR REPLACE INTO uploads (copy_id, object, operation, session_url) VALUES (?, ?, ?, ?)",
      values: [copyId, object, operationId, sessionUrl],
    });
  }

  uploadEnded(copyId: string): Promise<void> {
    return this.#database.write({ sql: "DELETE FROM uploads WHERE copy_id = ?", values: [copyId] });
  }

  async counts(): Promise<OwedCounts> {
    const [row] = await this.#database.read(`SELECT (SELECT count(*) FROM patches) AS patches,
      (SELECT count(*) FROM removals) AS removals, (SELECT count(*) FROM renames) AS renames,
      (SELECT count(*) FROM exchanges) AS exchanges`);
    const count = (key: string): number => Number(row?.[key] ?? 0);
    return {
      patches: count("patches"),
      removals: count("removals"),
      renames: count("renames"),
      exchanges: count("exchanges"),
    };
  }

  async patches(): Promise<OwedPatch[]> {
    const rows = await this.#database.read("SELECT object, generation, metadata, content FROM patches");
    return rows.map(({ object, generation, metadata, content }) => ({
      object: String(object),
      generation: BigInt(generation ?? 0),
      metadata: JSON.parse(String(metadata)) as Record<string, string | null>,
      content: content === null || content === undefined ? undefined : String(content),
    }));
  }

  async removals(): Promise<OwedRemoval[]> {
    const rows = await this.#database.read("SELECT object, generation FROM removals");
    return rows.map(({ object, generation }) => ({
      name: String(object),
      generation: BigInt(generation ?? 0),
    }));
  }

  async exchanges(): Promise<OwedExchange[]> {
    const rows = await this.#database.read("SELECT * FROM exchanges");
    return rows.map((row) => ({
      aside: String(row["aside"]),
      one: { name: String(row["one"]), generation: BigInt(row["one_generation"] ?? 0) },
      other: { name: String(row["other"]), generation: BigInt(row["other_generation"] ?? 0) },
    }));
  }

  async renames(): Promise<OwedRename[]> {
    const rows = await this.#database.read("SELECT source, destination FROM renames");
    return rows.map(({ source, destination }) => ({
      source: String(source),
      destination: String(destination),
    }));
  }
}

function recordOf({ object, generation, metadata, content }: OwedPatch): Statement {
  return {
    sql: "INSERT OR REPLACE INTO patches (object, generation, metadata, content) VALUES (?, ?, ?, ?)",
    values: [object, generation, JSON.stringify(metadata), content ?? null],
  };
}

function renameGone(source: string): Statement {
  return { sql: "DELETE FROM renames WHERE source = ?", values: [source] };
}
