// What one kind of operation is to the test: how often it is drawn, with what, and how it is acted out.

import type fc from "fast-check";
import type { Run } from "./run.ts";

/** An operation as it was drawn. It refers to names and handles by number, so that it means something in any run. */
export interface Step {
  readonly title: string;
  /** Carries it out in both places and compares; does nothing where there is nothing to do it to. */
  act(run: Run): Promise<void>;
}

export interface Operation {
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<Step>;
}

/** An operation that is drawn `weight` times in about 150. */
export function operation<Drawn>(
  title: string,
  weight: number,
  drawn: fc.Arbitrary<Drawn>,
  act: (run: Run, drawn: Drawn) => Promise<void>,
): Operation {
  return { weight, arbitrary: drawn.map((each) => ({ title, act: (run) => act(run, each) })) };
}
