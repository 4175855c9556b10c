// The server's own time, which tests may shift, and the generations taken from it.
//
// Generations are microseconds and strictly increasing, across restarts and when the clock is set back.

export class Clock {
  aheadMs = 0;
  #lastGeneration: number;

  constructor(lastGeneration: number) {
    this.#lastGeneration = lastGeneration;
  }

  nowMs(): number {
    return Date.now() + this.aheadMs;
  }

  get lastGeneration(): number {
    return this.#lastGeneration;
  }

  nextGeneration(): number {
    this.#lastGeneration = Math.max(this.#lastGeneration + 1, Math.floor(this.nowMs() * 1000));
    return this.#lastGeneration;
  }
}
