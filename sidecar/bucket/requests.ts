// Requests repeated until they are answered for good or their time is up.

import { setTimeout as delay } from "node:timers/promises";

import { failPoint } from "../lib/fail-point.ts";
import type { Log } from "../telemetry/log.ts";
import type { Availability } from "./availability.ts";
import type { Dated } from "./bucket.ts";
import { Budget, type Clock } from "./budget.ts";
import { asUncertain, BucketError } from "./errors.ts";
import type { Measure } from "./measure.ts";
import { encodeSegment } from "./names.ts";
import type { Reply } from "./reply.ts";
import { retryDelayMs } from "./retry.ts";
import { serviceError } from "./service-error.ts";
import type { Call, Transport } from "./transport.ts";

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly dateMs: number;
  readonly text: string;
  header(name: string): string | undefined;
}

// From this try on a repetition is news for whoever runs the mount; before, it is weather.
const notableAttempt = 3;

interface Outside {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Told what became of each request; absent where nobody goes by it. */
  readonly availability?: Availability;
}

export class Requests {
  readonly bucket: string;
  readonly log: Log;
  readonly #transport: Transport;
  readonly #measure: Measure;
  readonly #limits: { readonly deadlineMs: number; readonly metadataDeadlineMs: number };
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #availability: Availability | undefined;

  constructor(
    bucket: string,
    transport: Transport,
    measure: Measure,
    limits: { readonly deadlineMs: number; readonly metadataDeadlineMs: number },
    outside: Outside,
  ) {
    this.bucket = bucket;
    this.log = outside.log;
    this.#transport = transport;
    this.#measure = measure;
    this.#limits = limits;
    this.#clock = outside.clock;
    this.#random = outside.random;
    this.#availability = outside.availability;
  }

  /** `/storage/v1/b/BUCKET`, and below it. */
  get bucketPath(): string {
    return `/storage/v1/b/${encodeSegment(this.bucket)}`;
  }

  objectPath(name: string): string {
    return `${this.bucketPath}/o/${encodeSegment(name)}`;
  }

  /** For a question or a small change: so long in all, and `atMostMs`. */
  metadataBudget(atMostMs = Infinity): Budget {
    return new Budget(Math.min(this.#limits.metadataDeadlineMs, atMostMs), this.#clock);
  }

  /** For bytes: so long without progress. */
  dataBudget(): Budget {
    return new Budget(this.#limits.deadlineMs, this.#clock);
  }

  /**
   * What `decode` makes of the answer to `call`, which is sent again while that can help. Statuses other than 2xx
   * are thrown as what they mean. An error is `uncertain` if any of the tries may have been carried out.
   */
  ask<T>(call: Call, budget: Budget, decode: (json: unknown) => T): Promise<Dated<T>> {
    return this.repeat(call, budget, async () => dated(await this.askOnce(call, budget.tryMs()), decode));
  }

  /** The complete answer to `call`, sent once; statuses in `accept` are answers too. */
  async askOnce(call: Call, limitMs: number, accept: readonly number[] = []): Promise<Answer> {
    const reply = await this.openOnce(call, limitMs, accept);
    const text = await reply.text();
    return { status: reply.status, dateMs: reply.dateMs, text, header: (name) => reply.header(name) };
  }

  /** Sends `call` once and resolves with the start of an answer that is 2xx or in `accept`. */
  async openOnce(call: Call, limitMs: number, accept: readonly number[] = []): Promise<Reply> {
    failPoint(`before-${call.operation}`);
    const reply = await this.#transport.send(call, limitMs);
    failPoint(`after-${call.operation}`);
    if (reply.status < 500 && reply.status !== 408 && reply.status !== 429) this.#availability?.answered();
    if ((reply.status >= 200 && reply.status < 300) || accept.includes(reply.status)) return reply;
    const body = await reply.text();
    throw serviceError(call.about, { status: reply.status, retryAfter: reply.header("retry-after"), body });
  }

  /** Runs `attempt` until it succeeds, fails for good, or `budget` is used up. */
  async repeat<T>(
    call: Pick<Call, "about" | "signal">,
    budget: Budget,
    attempt: () => Promise<T>,
  ): Promise<T> {
    let uncertain = false;
    let told: BucketError | undefined;
    for (;;) {
      try {
        throwIfAborted(call, uncertain);
        return await attempt();
      } catch (error) {
        if (!(error instanceof BucketError)) throw error;
        uncertain ||= error.uncertain;
        if (error.kind !== "deadline") told = error;
        // A last try that the deadline cut short says less than the one before it.
        const telling = told ?? error;
        await this.waitToRepeat(call, budget, uncertain ? asUncertain(telling) : telling);
      }
    }
  }

  /** After a try failed with `error`: waits as long as is fit, or throws it if it is final. */
  async waitToRepeat(
    call: Pick<Call, "about" | "signal">,
    budget: Budget,
    error: BucketError,
  ): Promise<void> {
    this.#measure.failed(error);
    const attempt = budget.failed();
    const delayMs = retryDelayMs(error, attempt, budget.leftMs(), this.#random);
    if (delayMs === undefined) {
      this.#availability?.gaveUp(error, budget.sinceMs);
      throw error;
    }
    this.#noteRepetition(call.about, attempt, delayMs, error);
    await pause(delayMs, call.signal);
  }

  #noteRepetition(request: string, attempt: number, delayMs: number, err: BucketError): void {
    this.#measure.repeated += 1;
    // Once for each request, not once for each try; while nothing is answered that is said once for all of them.
    const notable = attempt === notableAttempt && this.#availability?.away === undefined;
    const level = notable ? "warn" : "debug";
    this.log[level]({ request, attempt, delayMs, kind: err.kind, err }, "bucket request will be repeated");
  }
}

/** What `decode` makes of an answer's JSON. */
export function dated<T>(answer: Answer, decode: (json: unknown) => T): Dated<T> {
  return { value: decode(parseJson(answer.text)), dateMs: answer.dateMs };
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    // Cut short, or a proxy's page: the service may well have done what it was asked.
    throw new BucketError("unavailable", "the answer is not JSON", { uncertain: true, cause });
  }
}

function throwIfAborted(call: Pick<Call, "about" | "signal">, uncertain: boolean): void {
  if (!call.signal?.aborted) return;
  throw new BucketError("aborted", `${call.about}: given up`, { uncertain, cause: call.signal.reason });
}

// Ends early when the signal is aborted; the loop looks at the signal next.
async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(delayMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
