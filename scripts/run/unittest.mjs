// Reads the two closing lines of Python's unittest: "Ran 19 tests in 0.1s" and "OK" or
// "FAILED (failures=1, errors=2, skipped=3)".

export function unittestReader() {
  let text = "";
  return {
    push(piece) {
      text += piece;
    },
    end() {
      const ran = Number(/^Ran (\d+) tests?/m.exec(text)?.[1] ?? 0);
      const closing = /^(?:OK|FAILED)(?: \((.*)\))?$/m.exec(text)?.[1] ?? "";
      const count = (word) => Number(new RegExp(`\\b${word}=(\\d+)`).exec(closing)?.[1] ?? 0);
      const failed = count("failures") + count("errors") + count("unexpected successes");
      return { passed: Math.max(0, ran - failed - count("skipped")), failed };
    },
  };
}
