// Requests that change something, so that one which comes again after a worker's death is answered or resolved, not
// repeated (RULES 18).

import { deserialize, serialize } from "node:v8";
import type { JournalStatements } from "./journal.ts";

/** A request whose worker died this often while it ran is not run again (RULES 21). */
const DEATHS_MAX = 2;

/** What is known of a request that came again. */
export type Earlier =
  | { readonly kind: "unknown" }
  /** Its work was begun; `details` are what the work left for itself. */
  | { readonly kind: "begun"; readonly details: unknown }
  | { readonly kind: "answered"; readonly answer: Buffer }
  /** It has cost too many workers their lives. */
  | { readonly kind: "deadly" };

export class RequestLedger {
  readonly #journal: JournalStatements;

  constructor(journal: JournalStatements) {
    this.#journal = journal;
  }

  /** What an earlier worker knew of it. Counts one death. */
  lookUp(id: bigint): Earlier {
    const sql = "SELECT begun, answer, deaths FROM requests WHERE id = ?";
    const row = this.#journal.attempt((database) => database.row(sql, id));
    if (row?.["answer"] instanceof Uint8Array)
      return { kind: "answered", answer: Buffer.from(row["answer"]) };
    if (Number(row?.["deaths"] ?? 0) + 1 > DEATHS_MAX) return { kind: "deadly" };
    const noting =
      "INSERT INTO requests (id, deaths) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET deaths = deaths + 1";
    this.#journal.attempt((database) => database.run(noting, id));
    const begun = row?.["begun"];
    return begun instanceof Uint8Array ? { kind: "begun", details: deserialize(begun) } : { kind: "unknown" };
  }

  /** Its work is about to begin, or has come to a point that must be known when it is run again. */
  begin(id: bigint, details: unknown = {}): void {
    const sql =
      "INSERT INTO requests (id, begun) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET begun = excluded.begun";
    this.#journal.attempt((database) => database.run(sql, id, serialize(details)));
  }

  /** Its answer, for the commit that holds what the answer tells of. */
  answer(id: bigint, answer: Uint8Array): void {
    const kept = Buffer.from(answer);
    this.#journal.later((database) =>
      database.run(
        "INSERT INTO requests (id, answer) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET answer = excluded.answer",
        id,
        kept,
      ),
    );
  }

  /** The kernel has its answer. */
  forget(id: bigint): void {
    this.#journal.later((database) => database.run("DELETE FROM requests WHERE id = ?", id));
  }
}
