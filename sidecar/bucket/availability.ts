// Whether the bucket answers at all, told from what became of all requests together.
//
// A request that is given up, while nothing else was answered either, is a doubt. Then the bucket is probed at short
// intervals, by both kinds of question that names are asked by. If no probe is answered either the bucket is away, until
// one is. Refusals (403, 404, 412) are answers.

import type { Log } from "../telemetry/log.ts";
import type { Clock } from "./budget.ts";
import { isBucketError, type BucketError, type BucketErrorKind } from "./errors.ts";

/** How long a doubt waits for an answer before the bucket counts as away. */
const DOUBT_MS = 2_000;
/** From one probe to the next. They may overlap: a path that swallows one request need not swallow the next. */
const PROBE_INTERVAL_MS = 1_000;

/** Since when, in milliseconds since the epoch, and what the request met that was given up first. */
export interface Away {
  readonly sinceMs: number;
  readonly kind: BucketErrorKind;
  readonly message: string;
}

/** No answer about what was asked: the network, 408, 429, 5xx, or time. What is known may be as true as before. */
export function isAway(error: unknown): error is BucketError {
  return isBucketError(error, "unavailable", "deadline", "throttled");
}

export class Availability {
  readonly #probe: (signal: AbortSignal) => Promise<unknown>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners = new Set<() => void>();
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #doubt: Doubt | undefined;
  #away: Away | undefined;
  #closed = false;

  /** `probe` asks once, resolves when the bucket answers, and rejects as `isAway` says when it does not. */
  constructor(probe: (signal: AbortSignal) => Promise<unknown>, clock: Clock, log: Log) {
    this.#probe = probe;
    this.#clock = clock;
    this.#log = log;
  }

  /** Undefined while the bucket answers, as far as anybody knows. */
  get away(): Away | undefined {
    return this.#away;
  }

  /** Resolves at once unless something was just given up: then, within two seconds, when it is known what that means. */
  settled(): Promise<void> {
    return this.#away === undefined ? (this.#doubt?.settled ?? Promise.resolve()) : Promise.resolve();
  }

  /** Calls `listener` when the bucket is next found away; the answer takes that back. */
  onAway(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Something was answered, a refusal or not. */
  answered(): void {
    this.#answeredAtMs = this.#clock();
    if (this.#away !== undefined) this.#ask(); // it may be back, for all kinds of questions or only for some
  }

  /** A request was given up after all its tries; nothing was heard of it since `sinceMs` by our clock. */
  gaveUp(error: BucketError, sinceMs: number): void {
    if (this.#closed || this.#doubt !== undefined || !isAway(error) || this.#answeredAtMs >= sinceMs) return;
    const { kind, message } = error;
    const doubt = new Doubt({ sinceMs: Date.now(), kind, message });
    this.#doubt = doubt;
    doubt.every(PROBE_INTERVAL_MS, () => this.#ask());
    doubt.after(DOUBT_MS, () => this.#isAway(doubt));
    this.#ask();
  }

  close(): void {
    this.#closed = true;
    this.#doubt?.end();
    this.#doubt = undefined;
  }

  #ask(): void {
    const doubt = this.#doubt;
    if (doubt === undefined || doubt.probes >= Doubt.MOST_PROBES) return;
    doubt.probes += 1;
    this.#probe(doubt.signal).then(
      () => this.#isBack(doubt),
      (error: unknown) => {
        doubt.probes -= 1;
        if (isAway(error)) this.#isAway(doubt);
        else if (!isBucketError(error, "aborted")) this.#isBack(doubt);
      },
    );
  }

  #isAway(doubt: Doubt): void {
    if (this.#doubt !== doubt || this.#away !== undefined) return;
    this.#away = doubt.away;
    doubt.settle();
    const { kind, message } = doubt.away;
    this.#log.warn({ kind, reason: message }, "the bucket does not answer");
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  #isBack(doubt: Doubt): void {
    if (this.#doubt !== doubt) return;
    doubt.end();
    this.#doubt = undefined;
    if (this.#away === undefined) return;
    const awayMs = Date.now() - this.#away.sinceMs;
    this.#away = undefined;
    this.#log.info({ awayMs }, "the bucket answers again");
  }
}

/** The time from a request that was given up to an answer. */
class Doubt {
  /** Each may wait as long as a question may. */
  static readonly MOST_PROBES = 12;
  readonly away: Away;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #settling = Promise.withResolvers<void>();
  probes = 0;

  constructor(away: Away) {
    this.away = away;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get settled(): Promise<void> {
    return this.#settling.promise;
  }

  settle(): void {
    this.#settling.resolve();
  }

  every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms).unref());
  }

  after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms).unref());
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.settle();
    this.#controller.abort();
  }
}
