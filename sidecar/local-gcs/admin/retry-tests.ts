// Instructions for single clients, which name them in an `x-retry-test-id` header: each request of a method takes
// the next one of that method. The interface is that of the storage clients' conformance tests.

import { randomUUID } from "node:crypto";
import { parseFaultAction, type Fault } from "./faults.ts";

export type Instructions = Readonly<Record<string, readonly string[]>>;

export interface RetryTestState {
  readonly id: string;
  readonly instructions: Instructions;
  readonly completed: boolean;
}

// Tests that forget to delete theirs do not fill the memory: the oldest goes.
const maxTests = 10_000;

export class RetryTests {
  readonly #tests = new Map<string, Map<string, string[]>>();

  /** Throws a RangeError for an instruction that does not exist. */
  create(instructions: Instructions): RetryTestState {
    for (const instruction of Object.values(instructions).flat()) {
      if (parseFaultAction(instruction) === undefined)
        throw new RangeError(`Unknown instruction: ${instruction}`);
    }
    const id = randomUUID().replaceAll("-", "");
    this.#tests.set(id, new Map(Object.entries(instructions).map(([method, list]) => [method, [...list]])));
    const [oldest] = this.#tests.keys();
    if (this.#tests.size > maxTests && oldest !== undefined) this.#tests.delete(oldest);
    return { id, instructions, completed: false };
  }

  /** What is left of a test's instructions. */
  get(id: string): RetryTestState | undefined {
    const left = this.#tests.get(id);
    if (left === undefined) return undefined;
    return {
      id,
      instructions: Object.fromEntries(left),
      completed: [...left.values()].every((l) => l.length === 0),
    };
  }

  delete(id: string): boolean {
    return this.#tests.delete(id);
  }

  match(id: string, method: string): Fault | undefined {
    const left = this.#tests.get(id)?.get(method);
    const [next] = left ?? [];
    const action = next === undefined ? undefined : parseFaultAction(next);
    if (action === undefined) return undefined;
    return { action, take: () => left?.[0] === next && left?.shift() !== undefined };
  }
}
