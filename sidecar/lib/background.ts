// Work nobody waits for still has an owner: its failures are reported, and a shutdown waits for it.

export class Background {
  readonly #report: (name: string, error: unknown) => void;
  readonly #running = new Set<Promise<void>>();

  constructor(report: (name: string, error: unknown) => void) {
    this.#report = report;
  }

  /** Starts `work` and reports its failure under `name`. */
  start(name: string, work: () => Promise<unknown>): void {
    const run = work().then(
      () => undefined,
      (error: unknown) => this.#report(name, error),
    );
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
  }

  /** Resolves when nothing started so far, nor anything that started, is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
