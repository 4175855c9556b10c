// Which modification times were given to the latest versions of a name (RULES 15).
//
// nginx makes its ETag of size and mtime in seconds, so two versions of one name must not have both in common: not one
// and the next, nor one and the next but two, nor one that was removed and one that was made anew. Only versions as
// young as the clock's second matter; a version that had to step ahead of it is remembered until the clock has passed.

const NS_PER_S = 1_000_000_000n;
/** Further ahead of the clock no version has stepped: such a time was given elsewhere, and no later one comes near it. */
const AHEAD_MAX_S = 3600n;
/** Names are tidied up above this many. */
const NAMES_MAX = 1000;

export class VersionTimes {
  readonly #wallNs: () => bigint;
  /** By name, the latest second given to a version of each size. */
  readonly #seconds = new Map<string, Map<number, bigint>>();

  constructor(wallNs: () => bigint) {
    this.#wallNs = wallNs;
  }

  /** The time for a new version of this name and size: the one that is wanted, or the next that was not given yet. */
  apart(name: string, size: number, wantedNs: bigint): bigint {
    const last = this.#seconds.get(name)?.get(size);
    return last === undefined || wantedNs / NS_PER_S > last ? wantedNs : (last + 1n) * NS_PER_S;
  }

  note(name: string, size: number, timeNs: bigint): void {
    const second = timeNs / NS_PER_S;
    const now = this.#wallNs() / NS_PER_S;
    if (second < now - 1n) return; // later versions are younger anyway
    if (second > now + AHEAD_MAX_S) return;
    const seconds = this.#seconds.get(name) ?? new Map<number, bigint>();
    this.#seconds.set(name, seconds);
    const last = seconds.get(size);
    if (last === undefined || last < second) seconds.set(size, second);
    this.#tidy(seconds);
    if (this.#seconds.size > NAMES_MAX) this.#tidyNames();
  }

  #tidy(seconds: Map<number, bigint>): void {
    const now = this.#wallNs() / NS_PER_S;
    for (const [size, second] of seconds) if (second < now - 1n) seconds.delete(size);
  }

  #tidyNames(): void {
    for (const [name, seconds] of this.#seconds) {
      this.#tidy(seconds);
      if (seconds.size === 0) this.#seconds.delete(name);
    }
  }
}
