// One thing that must hold, acted out as a client would.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";

export interface Step {
  /** Where it was demanded, for the reader of a report. */
  readonly id: string;
  /** A sentence that is true when it holds. */
  readonly title: string;
  readonly expected: string;
  /** Resolves with what was got, in a few words, when it holds; throws otherwise. */
  run(stage: Stage): Promise<string>;
}

/** Steps that belong together and leave the stage working. */
export interface Group {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** What was got is not what was expected. The message says what was got. */
export class Unmet extends Error {}

export function equal<Value>(what: string, got: Value, expected: Value): void {
  if (!Object.is(got, expected)) throw new Unmet(`${what}: ${show(got)} instead of ${show(expected)}`);
}

export function holds(condition: boolean, got: string): asserts condition {
  if (!condition) throw new Unmet(got);
}

function show(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** Compares bytes and says where they part, because two hashes tell nobody anything. */
export function sameBytes(what: string, got: Buffer, expected: Buffer): void {
  if (got.equals(expected)) return;
  if (got.length !== expected.length) {
    throw new Unmet(`${what}: ${got.length} bytes instead of ${expected.length}`);
  }
  throw new Unmet(`${what}: differs from byte ${got.findIndex((byte, index) => byte !== expected[index])}`);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Asks until the answer is there; undefined once `timeoutMs` is over. */
export async function within<Value>(
  timeoutMs: number,
  ask: () => Promise<Value | undefined> | Value | undefined,
): Promise<Value | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    await sleep(25);
  }
}
