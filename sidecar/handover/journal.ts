// What changed and a successor must know: gathered while operations run, written before each answer (RULES 18, 19).
//
// A node is noted whenever something of it that its record has may have changed; what is written is what it is at the
// next commit. So a commit may hold half of what another request is just doing: that request is then not answered yet,
// comes again, and is resolved by what it had begun.

import { deserialize, serialize } from "node:v8";
import { failPoint } from "../lib/fail-point.ts";
import type { HandoverDatabase } from "./database.ts";

/** Numbers are set aside in blocks, so that a successor goes on above them without a statement for each. */
const BLOCK = 4096;

/** Which of the two mounts. */
export type Face = "app" | "serve";

/** Something that ever-increasing numbers are given to. */
export type Series = "inode" | "served-inode" | "handle" | "operation" | "app-directory" | "serve-directory";

/** What those need of the journal who know nothing of nodes. */
export type JournalStatements = Pick<Journal, "later" | "commit" | "attempt" | "setting" | "set">;

/** Encodes what is to be kept of something the kernel knows by number; undefined if nothing is. */
export type Encode<Node> = (node: Node) => Uint8Array | undefined;

export class Journal<Node extends { readonly id: number } = { readonly id: number }> {
  #database: HandoverDatabase | undefined;
  /** Called once when nothing can be kept any more; the mount goes on, and ends with this worker. */
  onLost: ((error: unknown) => void) | undefined;
  readonly #encode: Encode<Node>;
  readonly #nodes = new Set<Node>();
  readonly #served = new Map<number, () => Uint8Array | undefined>();
  #statements: ((database: HandoverDatabase) => void)[] = [];
  readonly #reserved = new Map<Series, number>();

  /** Without a database nothing is kept: there will be no successor. */
  constructor(database?: HandoverDatabase, encode: Encode<Node> = () => undefined) {
    this.#database = database;
    this.#encode = encode;
  }

  get kept(): boolean {
    return this.#database !== undefined;
  }

  /** Something of the node changed. */
  note(node: Node): void {
    if (this.#database !== undefined) this.#nodes.add(node);
  }

  /** As `note`, for what the kernel of the serve mount knows by number. */
  noteServed(inode: number, encode: () => Uint8Array | undefined): void {
    if (this.#database !== undefined) this.#served.set(inode, encode);
  }

  /** A statement for the next commit. */
  later(statement: (database: HandoverDatabase) => void): void {
    if (this.#database !== undefined) this.#statements.push(statement);
  }

  /** An open folder, or that it is open no more. */
  noteDirectory(face: Face, handle: number, record: unknown): void {
    this.later((database) => {
      if (record === undefined)
        database.run("DELETE FROM directories WHERE face = ? AND handle = ?", face, handle);
      else
        database.run(
          "INSERT OR REPLACE INTO directories (face, handle, record) VALUES (?, ?, ?)",
          face,
          handle,
          serialize(record),
        );
    });
  }

  /** Runs `work` on the database; undefined if there is none, or not any more. */
  attempt<T>(work: (database: HandoverDatabase) => T): T | undefined {
    const database = this.#database;
    if (database === undefined) return undefined;
    try {
      return work(database);
    } catch (error) {
      this.#database = undefined;
      database.abandon();
      this.onLost?.(error);
      return undefined;
    }
  }

  /** Writes all that was noted, before anything of it is answered. */
  commit(): void {
    const count = this.#nodes.size + this.#served.size + this.#statements.length;
    if (count === 0) return;
    failPoint("before-handover-commit");
    this.attempt((database) => {
      if (count === 1) this.#writeAll(database);
      else database.transaction(() => this.#writeAll(database));
    });
    failPoint("after-handover-commit");
    this.#nodes.clear();
    this.#served.clear();
    this.#statements = [];
  }

  /** The first number of a series that no predecessor has given out. */
  firstOf(series: Series, first: number): number {
    return Math.max(first, (this.setting(`next-${series}`) as number | undefined) ?? first);
  }

  /** `next` is about to be given out. */
  reserve(series: Series, next: number): void {
    if (this.#database === undefined || next < (this.#reserved.get(series) ?? 0)) return;
    this.#reserved.set(series, next + BLOCK);
    this.set(`next-${series}`, next + BLOCK);
  }

  setting(key: string): unknown {
    const row = this.attempt((database) => database.row("SELECT value FROM settings WHERE key = ?", key));
    const value = row?.["value"];
    return value instanceof Uint8Array ? deserialize(value) : undefined;
  }

  /** Kept at once. */
  set(key: string, value: unknown): void {
    const sql = "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)";
    this.attempt((database) => database.run(sql, key, serialize(value)));
  }

  #writeAll(database: HandoverDatabase): void {
    for (const statement of this.#statements) statement(database);
    for (const node of this.#nodes) writeRecord(database, "nodes", node.id, this.#encode(node));
    for (const [inode, encode] of this.#served) writeRecord(database, "served", inode, encode());
  }
}

function writeRecord(
  database: HandoverDatabase,
  table: "nodes" | "served",
  inode: number,
  record: Uint8Array | undefined,
): void {
  if (record === undefined) database.run(`DELETE FROM ${table} WHERE inode = ?`, inode);
  else database.run(`INSERT OR REPLACE INTO ${table} (inode, record) VALUES (?, ?)`, inode, record);
}
