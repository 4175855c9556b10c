// What `npm run bench` can run: a benchmark measures for itself and answers with a table.

import type { Cleaning } from "../test/helpers/cleanups.ts";

/** What was measured, as it is printed. The first and the last column are words, all others numbers. */
export interface Figures {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** False if a goal was missed. */
  readonly passed: boolean;
}

export interface Benchmark {
  readonly name: string;
  readonly title: string;
  /** How it was done, for whoever reads the figures. */
  readonly explanation: string;
  /** Measurements on each side, unless told otherwise. */
  readonly rounds: number;
  /** Measures; `say` tells a person what is being done. What it leaves behind is ended by `cleaning`. */
  measure(cleaning: Cleaning, rounds: number, say: (line: string) => void): Promise<Figures>;
}

/** Whether a share reaches a goal, as the last column says it. */
export function verdict(ratio: number, goal: number | undefined): "" | "pass" | "FAIL" {
  if (goal === undefined) return "";
  return ratio >= goal ? "pass" : "FAIL";
}
