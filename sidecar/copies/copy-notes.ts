// What copies.db says of a copy that is being changed, so that no later run takes its bytes for something they are not.

import type { Background } from "../lib/background.ts";
import { copyRow, type Changed } from "./copy-rows.ts";
import type { Copy } from "./copy.ts";
import type { StateFolder } from "./state-folder.ts";

export class CopyNotes {
  readonly #state: StateFolder;
  readonly #background: Background;

  constructor(state: StateFolder, background: Background) {
    this.#state = state;
    this.#background = background;
  }

  /**
   * Before the first write to a copy: resolves when no later run would take it for a version's bytes, or for bytes that
   * nobody had changed. Without a name the bytes are nobody's.
   */
  async withdraw(copy: Copy, object: string): Promise<void> {
    if (copy.notedAsChanging) return;
    copy.promised = false;
    copy.notedAsChanging = true;
    // All changes of a partial copy go through us: until one is made elsewhere than at the end, the rest is the version's.
    copy.noteChanging = copy.whole ? undefined : (placed) => this.#notePlaced(copy, placed);
    const state = object === "" ? "unlinked" : "dirty";
    await this.#state.database.write(
      copyRow(copy, object, state, { changed: copy.whole ? "anywhere" : "appended" }),
    );
  }

  async #notePlaced(copy: Copy, placed: boolean): Promise<void> {
    if (!placed) return;
    await this.#state.database.write({
      sql: "UPDATE copies SET changed = 'anywhere' WHERE id = ?",
      values: [copy.id],
    });
    copy.noteChanging = undefined;
  }

  /** A program has taken the name away from what it still has open: of no use to anybody after a crash. */
  unlinked(copy: Copy): void {
    if (copy.retired || copy.promised) return;
    copy.notedAsChanging = true;
    copy.noteChanging = undefined;
    this.#background.start("record unlink", () =>
      this.#state.database.write({
        sql: "UPDATE copies SET state = 'unlinked' WHERE id = ? AND state IN ('dirty', 'uploaded')",
        values: [copy.id],
      }),
    );
  }

  /** The bucket has these bytes: after a crash they are not owed, though not proven to be a cache either. */
  uploaded(copy: Copy, object: string): Promise<void> {
    if (copy.promised) return Promise.resolve();
    copy.notedAsChanging = false;
    const recorded = this.record(copy, object, "uploaded", copy.changedUnseen ? null : "nothing");
    if (!copy.changedUnseen)
      copy.noteChanging = async (placed) => {
        await this.withdraw(copy, copy.version?.name ?? object);
        await copy.noteChanging?.(placed);
      };
    return recorded;
  }

  /** Resolves when it is in the database; who does not wait hears of no failure, which is reported. */
  record(copy: Copy, object: string, state: string, changed: Changed | null): Promise<void> {
    const written = copy.retired
      ? Promise.resolve()
      : this.#state.database.write(copyRow(copy, object, state, { changed }));
    this.#background.start("record copy", () => written);
    return written;
  }

  /** Of a copy that an earlier worker had in use, and whose next change was to be noted. */
  noteAgain(copy: Copy): void {
    copy.noteChanging = async (placed) => {
      copy.notedAsChanging = false;
      await this.withdraw(copy, copy.version?.name ?? "");
      await copy.noteChanging?.(placed);
    };
  }
}
