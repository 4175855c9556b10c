// handover.db with what is kept in it, opened once for the life of a worker.

import { HandoverDatabase, HandoverMismatch } from "./database.ts";
import { Journal, type Encode } from "./journal.ts";
import { RequestLedger } from "./requests.ts";

export class Handover<Node extends { readonly id: number }> {
  readonly database: HandoverDatabase | undefined;
  readonly journal: Journal<Node>;

  /**
   * Without a path there is no successor, and nothing is kept. `again`: an earlier worker has filled it. Throws
   * HandoverMismatch.
   */
  constructor(path: string | undefined, encode: Encode<Node>, { again = false } = {}) {
    this.database = path === undefined ? undefined : new HandoverDatabase(path);
    this.journal = new Journal(this.database, encode);
    if (again && this.journal.setting("mount-id") === undefined)
      throw new HandoverMismatch("the worker before this one had given up handover.db");
  }

  /** What the first worker of the mount found, for all of them. */
  agreed<T>(key: string, find: () => T): T {
    const known = this.journal.setting(key) as T | undefined;
    if (known !== undefined) return known;
    const found = find();
    this.journal.set(key, found);
    return found;
  }

  /** For the channel of the app's mount. */
  ofApp(): { journal: Journal<Node>; face: "app"; ledger?: RequestLedger } {
    const ledger = this.database === undefined ? {} : { ledger: new RequestLedger(this.journal) };
    return { journal: this.journal, face: "app", ...ledger };
  }

  close(): void {
    this.journal.commit();
    if (this.journal.kept) this.database?.close();
  }
}
