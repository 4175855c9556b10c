// What to do when the bucket does not answer a question that it has answered before: go on with that answer.
//
// The first to find out waits as long as any request may, and who comes then until that is certain. From then until the
// bucket answers again nobody waits for what is known (bucket/availability.ts). What is not known is asked, and fails if it
// is not answered: that there is no such name is never concluded from silence.

import { isAway, type Availability } from "../bucket/availability.ts";
import { BucketError } from "../bucket/errors.ts";

/** Why what is known has to do. */
type Silence = BucketError;

export class LastAnswers {
  readonly #availability: Availability | undefined;

  /** Without `availability` every question has to be answered. */
  constructor(availability: Availability | undefined) {
    this.#availability = availability;
  }

  /** Asks what was answered before. Undefined: it was answered again; else why it was not, and the last answer holds. */
  async ask(question: () => Promise<unknown>): Promise<Silence | undefined> {
    if (this.#availability === undefined) {
      await question();
      return undefined;
    }
    await this.#availability.settled();
    if (this.#availability.away !== undefined) return this.#silence();
    try {
      return await this.#unlessAway(this.#availability, question);
    } catch (error) {
      if (isAway(error)) return error;
      throw error;
    }
  }

  /** Those who have been waiting when the bucket is found away need not wait longer; their question goes on. */
  async #unlessAway(
    availability: Availability,
    question: () => Promise<unknown>,
  ): Promise<Silence | undefined> {
    const { promise, resolve } = Promise.withResolvers<Silence>();
    const stop = availability.onAway(() => resolve(this.#silence()));
    const asking = question().then(() => undefined);
    try {
      return await Promise.race([asking, promise]);
    } finally {
      stop();
      asking.catch(() => undefined);
    }
  }

  #silence(): Silence {
    const { kind, message } = this.#availability?.away ?? { kind: "unavailable", message: "no answer" };
    return new BucketError(kind, `the bucket does not answer: ${message}`);
  }
}
