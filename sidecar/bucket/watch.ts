// One try of one request: ends when the caller gives up or nothing was heard for too long.

import { BucketError } from "./errors.ts";
import { connectionError } from "./connection-error.ts";

// Our own timer rather than the connection pool's: that one ticks once a second and does not see requests that
// still wait for a connection.
// Beyond this Node's timers fire at once.
const longestTimerMs = 2 ** 31 - 1;

export class Watch {
  readonly #about: string;
  readonly #limitMs: number;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  #state: "waiting" | "resting" | "stalled" | "aborted" | "ended" = "waiting";
  #heard = 0;
  #ownFailure: unknown;

  constructor(about: string, limitMs: number, outer: AbortSignal | undefined) {
    this.#about = about;
    this.#limitMs = limitMs;
    this.#outer = outer;
    this.#timer = setTimeout(this.#onTime, Math.min(limitMs, longestTimerMs));
    if (outer?.aborted) this.#onAbort();
    outer?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Ends the request's connection, and no other, when it is aborted. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something was heard, or waiting for it begins again: the time starts anew. */
  moved(): void {
    if (this.#state !== "waiting" && this.#state !== "resting") return;
    this.#state = "waiting";
    this.#heard += 1;
    this.#timer.refresh();
  }

  /** Nothing is awaited from the service until `moved` is called: the caller is busy with what it got. */
  rest(): void {
    if (this.#state === "waiting") this.#state = "resting";
  }

  /** The bytes to send could not be had; the request is given up with that error. */
  failed(error: unknown): void {
    this.#ownFailure ??= error;
  }

  end(): void {
    if (this.#state === "waiting" || this.#state === "resting") this.#state = "ended";
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }

  /** What `error`, with which the request failed, means. */
  explain(error: unknown): unknown {
    if (this.#ownFailure !== undefined) return this.#ownFailure;
    if (error instanceof BucketError) return error;
    if (this.#state === "aborted") {
      return new BucketError("aborted", `${this.#about}: given up`, {
        uncertain: true,
        cause: this.#outer?.reason,
      });
    }
    if (this.#state === "stalled") {
      const seconds = this.#limitMs / 1000;
      return new BucketError("deadline", `${this.#about}: nothing heard for ${seconds.toFixed(1)} s`, {
        uncertain: true,
      });
    }
    return connectionError(this.#about, error);
  }

  // If this process itself was held up (a busy moment, a suspended machine), the answer may lie in the socket by
  // now: it is read before time is called.
  #onTime = (): void => {
    const heard = this.#heard;
    setImmediate(() => {
      if (this.#state !== "waiting" || this.#heard !== heard) return;
      this.#state = "stalled";
      this.#controller.abort();
    });
  };

  #onAbort = (): void => {
    if (this.#state !== "waiting" && this.#state !== "resting") return;
    this.#state = "aborted";
    this.#controller.abort();
  };
}
