// Counts what ava reports. Its own closing line names how many passed only when nothing failed, and its TAP
// report breaks off when a test hangs, so the lines for the single tests are counted.

import { stripVTControlCharacters } from "node:util";

const passed = /^ {2}[✔√] /;
const failed = /^ {2}[✘×] (?<what>.*)$/;
const pending = /^ {2}[◌] /; // still running when ava gave up waiting
const broken = /^ {2}(?:Uncaught exception|Unhandled rejection) in (?<file>.*)$/;

// From this line on the failures are told again, in full.
const details = /^ {2}[─-]$/;

/** `line` takes one line of ava's report, `end` returns the counts. */
export function avaReader() {
  const count = { passed: 0, failed: 0 };
  const brokenFiles = new Set();
  let counting = true;

  const failuresIn = (what) => {
    if (what === "Timed out while running tests") return 0; // the pending tests are listed
    const remaining = /^(\d+) tests? remaining in /.exec(what);
    if (remaining) return Number(remaining[1]);
    const exited = /^(.*?) exited (?:with|due to) /.exec(what);
    return exited && brokenFiles.has(exited[1]) ? 0 : 1; // its exception has been counted
  };

  return {
    line(coloured) {
      const text = stripVTControlCharacters(coloured);
      if (!counting) return;
      if (details.test(text)) counting = false;
      else if (passed.test(text)) count.passed += 1;
      else if (failed.test(text)) count.failed += failuresIn(failed.exec(text).groups.what);
      else if (pending.test(text)) count.failed += 1;
      else if (broken.test(text)) {
        brokenFiles.add(broken.exec(text).groups.file);
        count.failed += 1;
      }
    },
    end: () => count,
  };
}
