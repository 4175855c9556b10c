// How much longer a call may take.
//
// For questions and small changes the time is counted from the start, for bytes from the last progress: the
// furthest position that was ever reached, so that sending the same bytes again is not progress.

/** Milliseconds that only move forward. Injected in tests. */
export type Clock = () => number;

// A try that hears nothing gives up while there is still time for another one, over another connection: paths
// break without a word. Not sooner than this, because slow answers are better than none.
const shortestTryMs = 2_000;

export class Budget {
  readonly #limitMs: number;
  readonly #clock: Clock;
  #since: number;
  #furthest = 0;
  #failures = 0;

  constructor(limitMs: number, clock: Clock) {
    this.#limitMs = limitMs;
    this.#clock = clock;
    this.#since = clock();
  }

  get limitMs(): number {
    return this.#limitMs;
  }

  /** Of the start, or the last progress. */
  get sinceMs(): number {
    return this.#since;
  }

  leftMs(): number {
    return this.#limitMs - (this.#clock() - this.#since);
  }

  /** How long the next try may hear nothing. */
  tryMs(): number {
    const left = Math.max(0, this.leftMs());
    return Math.min(left, Math.max(shortestTryMs, left / 2));
  }

  /** Bytes up to `position` have gone through. */
  reached(position: number): void {
    if (position <= this.#furthest) return;
    this.#furthest = position;
    this.#failures = 0;
    this.#since = this.#clock();
  }

  /** One more try has failed; how many there were without progress. */
  failed(): number {
    this.#failures += 1;
    return this.#failures;
  }

  /** Time the caller took for itself does not count. */
  restart(): void {
    this.#since = this.#clock();
  }
}
