import test from "ava";

import { sharedMode } from "./shared-mode.ts";

test("whoever may read what was made may do what its owner may, as far as the limit lets others", (t) => {
  const octal = (mode: number, limit: number) => sharedMode(mode, limit).toString(8);
  t.is(octal(0o644, 0o666), "666");
  t.is(octal(0o100644, 0o666), "100666", "the kind is kept");
  t.is(octal(0o755, 0o777), "777");
  t.is(octal(0o755, 0o666), "777", "what the program gave is kept");
  t.is(octal(0o444, 0o666), "444", "nobody may do more than the owner");
  t.is(octal(0o644, 0o644), "644");
  t.is(octal(0o644, 0o640), "644");
  t.is(octal(0o1755, 0o777), "1777");
});

test("what was made for its owner, or its group, stays closed to others", (t) => {
  for (const mode of [0o600, 0o640, 0o700, 0o660, 0o750]) t.is(sharedMode(mode, 0o777), mode);
});
