// Hearing of changes in a bucket: one pull after another, for as long as the mount lives.
//
// Nobody waits for it and nothing depends on it: what is not heard shows when trust ends. So trouble is said once, and
// tried again ever more rarely.

import { setTimeout as delay } from "node:timers/promises";

import type { Log } from "../../telemetry/log.ts";
import type { Clock } from "../budget.ts";
import { isBucketError } from "../errors.ts";
import { decodeChange, type ObjectChange } from "./change-message.ts";
import type { PubSub, Pulled } from "./pubsub.ts";

const firstPauseMs = 1_000;
const longestPauseMs = 60_000;
/** What only a person can mend is looked at again this rarely. */
const refusedPauseMs = 300_000;
/** Failures in a row before they are worth a word. */
const notableFailures = 3;
// A service that does not wait for messages must not be asked without end.
const shortestRoundMs = 250;
// Connections on which nothing is heard for so long are cut by whatever is in between; there was nothing to hear.
const quietMs = 30_000;
/** Whoever stops the mount is not kept waiting for it. */
const farewellMs = 2_000;

export interface ChangeFeedOptions {
  readonly bucket: string;
  /** Makes, or names, the subscription to listen to. Called again when it is gone. */
  readonly subscribe: (signal: AbortSignal) => Promise<string>;
  /** Whether the subscription is this mount's own, to be deleted with it. */
  readonly own: boolean;
  /** How to mend it, for people. */
  readonly remedy: string;
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

export class ChangeFeed {
  readonly #pubSub: PubSub;
  readonly #options: ChangeFeedOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #subscription: string | undefined;
  #failures = 0;
  #complained = false;

  constructor(pubSub: PubSub, options: ChangeFeedOptions) {
    this.#pubSub = pubSub;
    this.#options = options;
  }

  /** Hands every change to `note`, which must not fail, from now until `close`. Returns at once. */
  start(note: (change: ObjectChange) => void): void {
    this.#running ??= this.#run(note);
  }

  /** Ends listening, and the subscription if it is this mount's own. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (!this.#options.own || this.#subscription === undefined) return;
    await this.#pubSub.deleteSubscription(this.#subscription, farewellMs).catch((err: unknown) => {
      const { log } = this.#options;
      log.info(
        { subscription: this.#subscription, err },
        "the subscription stays; unused, it goes within a day",
      );
    });
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(note: (change: ObjectChange) => void): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#listen(note);
      } catch (error) {
        if (this.#stopped) return;
        await this.#trouble(error);
      }
    }
  }

  /** One subscription, if need be after making it, and one pull. */
  async #listen(note: (change: ObjectChange) => void): Promise<void> {
    const { log, subscribe, clock } = this.#options;
    const { signal } = this.#stop;
    if (this.#subscription === undefined) {
      this.#subscription = await subscribe(signal);
      log.info({ subscription: this.#subscription }, "listening to notifications of the bucket");
    }
    const beganMs = clock();
    const pulled = await this.#pull(this.#subscription);
    for (const { attributes } of pulled) {
      const change = decodeChange(this.#options.bucket, attributes);
      if (change !== undefined) note(change);
    }
    if (pulled.length > 0) {
      const ackIds = pulled.map(({ ackId }) => ackId);
      await this.#pubSub.acknowledge(this.#subscription, ackIds, signal);
    }
    this.#well();
    if (pulled.length === 0) await this.#pause(shortestRoundMs - (clock() - beganMs));
  }

  async #pull(subscription: string): Promise<Pulled[]> {
    const beganMs = this.#options.clock();
    try {
      return await this.#pubSub.pull(subscription, this.#stop.signal);
    } catch (error) {
      const lost = isBucketError(error, "unavailable", "deadline") && error.status === undefined;
      if (!this.#stopped && lost && this.#options.clock() - beganMs >= quietMs) return [];
      throw error;
    }
  }

  #well(): void {
    if (this.#complained) this.#options.log.info("notifications of the bucket come again");
    this.#failures = 0;
    this.#complained = false;
  }

  async #trouble(error: unknown): Promise<void> {
    const { own, log, random } = this.#options;
    this.#failures += 1;
    const gone = isBucketError(error, "not-found");
    const lost = own && gone && this.#subscription !== undefined;
    if (gone) this.#subscription = undefined;
    // What it would have said until there is another one shows when trust ends.
    if (lost) log.info("the subscription to notifications is gone; another one is made");
    const refused = !lost && !isBucketError(error, "throttled", "unavailable", "deadline");
    const again = this.#failures >= notableFailures;
    if (refused || again) this.#complain(error);
    const ceilingMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1));
    await this.#pause((refused && again ? refusedPauseMs : ceilingMs) * (0.5 + random() / 2));
  }

  #complain(err: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    const { log, remedy } = this.#options;
    log.warn({ err, remedy }, "no notifications of the bucket: changes made elsewhere show when trust ends");
  }

  async #pause(pauseMs: number): Promise<void> {
    if (pauseMs <= 0) return;
    // Ends early when the feed is closed, which its loop looks at next.
    await delay(pauseMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }
}
