// The judgement on pjdfstest's report, on reports made up for it.

import test from "ava";
import { readReport } from "./report.ts";
import { countFault, differences, unknownCases } from "./verdict.ts";

const REPORT = `chmod::mode::regular                                     ok
link::share::regular                                     FAILED
	assertion failed: EPERM
link::count_max                                          skipped
	Cannot get value for LINK_MAX

Summary: 1 failed, 1 skipped, 1 passed, 0 expected failures, 3 total
`;
const failing = [{ reason: "no links", cases: ["link::share::regular"] }];
const skipped = [{ reason: "no limit", cases: ["link::count_max"] }];

test("a report is read case by case, with what each says", (t) => {
  t.deepEqual(readReport(REPORT), [
    { name: "chmod::mode::regular", outcome: "passed", says: "" },
    { name: "link::share::regular", outcome: "failed", says: "assertion failed: EPERM" },
    { name: "link::count_max", outcome: "skipped", says: "Cannot get value for LINK_MAX" },
  ]);
});

test("a report that breaks off is not believed", (t) => {
  const cut = REPORT.split("\n").slice(0, 3).join("\n");
  t.throws(() => readReport(cut), { message: /broke off/ });
  t.throws(() => readReport(REPORT.replace("3 total", "4 total")), { message: /counts 4 cases/ });
});

test("what was expected is no difference", (t) => {
  t.deepEqual(differences(readReport(REPORT), { failing, skipped }), []);
  t.is(countFault(readReport(REPORT), 1), undefined);
});

test("a failure that nobody expected is told with its reason", (t) => {
  const [said, ...more] = differences(readReport(REPORT), { failing: [], skipped });
  t.regex(said ?? "", /^link::share::regular failed \(assertion failed: EPERM\): repair what broke it/);
  t.deepEqual(more, []);
});

test("an expected failure that passes is to be taken out of the list", (t) => {
  const report = REPORT.replace("FAILED\n\tassertion failed: EPERM", "ok");
  const [said] = differences(readReport(report), { failing, skipped });
  t.regex(
    said ?? "",
    /^link::share::regular passes now: take it out of .*expectations\.ts and raise PASSING/,
  );
});

test("a case that is skipped without a reason in the list is told", (t) => {
  const [said] = differences(readReport(REPORT), { failing, skipped: [] });
  t.regex(said ?? "", /^link::count_max was skipped \(Cannot get value for LINK_MAX\): give pjdfstest/);
});

test("fewer cases that pass are a fault, and more are to be written down", (t) => {
  t.regex(countFault(readReport(REPORT), 2) ?? "", /^1 of 3 cases pass, 2 did: repair/);
  t.regex(countFault(readReport(REPORT), 0) ?? "", /says 0: raise it/);
});

test("an expectation about a case that does not exist is told", (t) => {
  const stale = [{ reason: "gone", cases: ["rename::gone"] }];
  t.regex(unknownCases(readReport(REPORT), { failing: stale, skipped })[0] ?? "", /names rename::gone/);
});
