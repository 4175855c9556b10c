// pjdfstest, the public suite of what POSIX says about file systems, on a real mount.

import anyTest, { type TestFn } from "ava";
import { SETTINGS } from "../helpers/mounted.ts";
import {
  EXPECTED_TO_BE_SKIPPED,
  EXPECTED_TO_FAIL,
  GROUPS,
  PASSING,
  PLAIN_DEVIATIONS,
} from "./pjdfstest/expectations.ts";
import { findings } from "./pjdfstest/found.ts";
import { isPlain } from "./pjdfstest/plain.ts";
import { groupOf, type Case } from "./pjdfstest/report.ts";
import { countFault, differences, unknownCases } from "./pjdfstest/verdict.ts";

const test = anyTest as TestFn;
const EXPECTATIONS = { failing: EXPECTED_TO_FAIL, skipped: EXPECTED_TO_BE_SKIPPED };
/** libfuse does not say who calls, so the cases that act as other users mean nothing on the native channel. */
const TRIED = SETTINGS.filter(({ name }) => name !== "native");
const TIME_MS = 20 * 60_000; // far more than it takes, for a machine that does other things too

for (const { name: setting, options } of TRIED) {
  let running: Promise<Case[]> | undefined;
  const all = (): Promise<Case[]> => (running ??= findings(options));

  for (const group of GROUPS) {
    test(`${setting}: ${group} does what POSIX says, but for what is listed with its reason`, async (t) => {
      t.timeout(TIME_MS);
      const cases = (await all()).filter(({ name }) => groupOf(name) === group);
      t.true(cases.length > 0, `pjdfstest has no cases of ${group}: take it out of GROUPS`);
      t.deepEqual(differences(cases, EXPECTATIONS), []);
      const passed = cases.filter(({ outcome }) => outcome === "passed").length;
      t.log(`${passed} of ${cases.length} pass`);
    });
  }

  test(`${setting}: no case is lost, and none is forgotten`, async (t) => {
    t.timeout(TIME_MS);
    const cases = await all();
    t.deepEqual([...new Set(cases.map(({ name }) => groupOf(name)))].toSorted(), [...GROUPS]);
    t.deepEqual(unknownCases(cases, EXPECTATIONS), []);
    t.is(countFault(cases, PASSING), undefined);
  });

  test(`${setting}: whatever uses plain files, folders and symbolic links alone passes, but for what is listed`, async (t) => {
    t.timeout(TIME_MS);
    const plain = (await all()).filter(({ name }) => isPlain(name));
    t.true(plain.length >= 142, `${plain.length} cases are plain`);
    const deviating = plain.filter(({ outcome }) => outcome !== "passed").map(({ name }) => name);
    t.deepEqual(deviating, PLAIN_DEVIATIONS);
    t.log(`${plain.length} cases`);
  });
}
