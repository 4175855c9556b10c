// A large file read from beginning to end, a mebibyte at a time.

import type { Scenario } from "../scenario.ts";

export const sequentialRead: Scenario = {
  title: "Sequential read",
  unit: "MB",
  goal: 0.9,
  prepare: { do: "make file", mebibytes: 256 },
  work: { do: "read", passes: 8 },
};
