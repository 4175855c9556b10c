// Answers on their way to the kernel.

import fs from "node:fs";

import { failPoint } from "../../lib/fail-point.ts";
import type { Log } from "../../telemetry/log.ts";
import { encodeEmpty, encodeError, finishAnswer } from "./encode.ts";

/** What an operation answers: a buffer with room for the header in front, and how to take it back. */
export interface Answer {
  readonly body: Buffer;
  /** Follows `body` in the same write, so that read data is not copied. */
  readonly data?: Buffer;
  /** Gives back what the kernel would have had to give back, had the answer reached it (RULES 19). */
  readonly undo?: () => void;
}

// ENOENT: nobody waits for the answer any more. The others: the connection has ended.
const NOBODY_WAITS = new Set(["ENOENT", "ENODEV", "ENOTCONN", "ECONNABORTED", "EPERM"]);

/** Writes answers to the device, at once: the kernel only copies them, it never makes an answer wait. */
export class Answers {
  readonly #descriptor: number;
  readonly #log: Log;
  readonly #keep: () => void;
  /** Answers given so far. */
  count = 0;

  /** `keep` is called before each answer: what the answer tells of must be known to a later worker (RULES 18, 19). */
  constructor(descriptor: number, log: Log, keep: () => void = () => {}) {
    this.#descriptor = descriptor;
    this.#log = log;
    this.#keep = keep;
  }

  /** Whether the answer arrived. If it did not, it has been undone. */
  send(unique: bigint, answer: Answer): boolean {
    this.#keep();
    failPoint("before-answer");
    finishAnswer(answer.body, unique, 0, answer.data?.length ?? 0);
    const delivered = this.#write(
      unique,
      answer.data === undefined ? answer.body : [answer.body, answer.data],
    );
    failPoint("after-answer");
    if (!delivered) answer.undo?.();
    return delivered;
  }

  sendError(unique: bigint, errno: number): void {
    this.#write(unique, encodeError(unique, errno));
  }

  #write(unique: bigint, bytes: Buffer | Buffer[]): boolean {
    this.count += 1;
    try {
      if (Array.isArray(bytes)) fs.writevSync(this.#descriptor, bytes);
      else fs.writeSync(this.#descriptor, bytes);
      return true;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      // A refused answer (EINVAL) has ended its request with EIO in the kernel; it is our mistake, so it is told.
      if (!NOBODY_WAITS.has(code))
        this.#log.error({ err: error, unique: String(unique) }, "an answer was refused");
      return false;
    }
  }
}

/** Success without a body. */
export function done(): Answer {
  return { body: encodeEmpty() };
}
