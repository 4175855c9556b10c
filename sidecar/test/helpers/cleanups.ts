// What must be undone at the end, for one test or for a whole file.

/** A test (`t`), or something that cleans up after many. */
export interface Cleaning {
  teardown(undo: () => Promise<void>): void;
}

/** For hooks, which have no teardown of their own: `run` belongs into `test.after.always`. */
export class Cleanups implements Cleaning {
  readonly #undo: (() => Promise<void>)[] = [];

  teardown(undo: () => Promise<void>): void {
    this.#undo.push(undo);
  }

  /** Undoes everything, last first. */
  async run(): Promise<void> {
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) await undo();
  }
}
