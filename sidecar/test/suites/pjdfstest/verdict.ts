// Holds what pjdfstest found against what was expected. Each difference is a sentence that says what to do.

import type { Exclusion } from "./expectations.ts";
import type { Case, Outcome } from "./report.ts";

export interface Expectations {
  readonly failing: readonly Exclusion[];
  readonly skipped: readonly Exclusion[];
}

const LIST = "sidecar/test/suites/pjdfstest/expectations.ts";

/** One sentence for each case that did something else than was expected; none if all is as it should be. */
export function differences(cases: readonly Case[], { failing, skipped }: Expectations): string[] {
  const expected = new Map<string, Outcome>();
  for (const { cases: names } of failing) for (const name of names) expected.set(name, "failed");
  for (const { cases: names } of skipped) for (const name of names) expected.set(name, "skipped");
  return cases.flatMap(({ name, outcome, says }) => {
    const wanted = expected.get(name) ?? "passed";
    return outcome === wanted ? [] : [sentence(name, wanted, outcome, says)];
  });
}

function sentence(name: string, wanted: Outcome, outcome: Outcome, says: string): string {
  const because = says === "" ? "" : ` (${says})`;
  if (outcome === "passed") return `${name} passes now: take it out of ${LIST} and raise PASSING there`;
  if (outcome === "skipped")
    return `${name} was skipped${because}: give pjdfstest what it lacks, or list it in ${LIST} with the reason`;
  return wanted === "skipped"
    ? `${name} runs now, and fails${because}: repair it, or list it as failing in ${LIST}`
    : `${name} failed${because}: repair what broke it. Only a deviation that is wanted belongs in ${LIST}`;
}

/** A sentence for each expectation about a case that does not exist. */
export function unknownCases(cases: readonly Case[], { failing, skipped }: Expectations): string[] {
  const known = new Set(cases.map(({ name }) => name));
  return [...failing, ...skipped]
    .flatMap((exclusion) => exclusion.cases)
    .filter((name) => !known.has(name))
    .map((name) => `${LIST} names ${name}, which pjdfstest does not have: take it out`);
}

/** What is wrong with the number of cases that pass, if something is. */
export function countFault(cases: readonly Case[], passing: number): string | undefined {
  const passed = cases.filter(({ outcome }) => outcome === "passed").length;
  if (passed === passing) return undefined;
  return passed < passing
    ? `${passed} of ${cases.length} cases pass, ${passing} did: repair what was lost, do not lower PASSING in ${LIST}`
    : `${passed} of ${cases.length} cases pass, PASSING in ${LIST} says ${passing}: raise it, so that none is lost again`;
}
