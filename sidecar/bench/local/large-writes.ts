// A file overwritten from beginning to end, a mebibyte at a time.

import type { Scenario } from "../scenario.ts";

export const largeWrites: Scenario = {
  title: "1 MiB writes",
  unit: "MB",
  goal: 0.8,
  prepare: { do: "make file", mebibytes: 64 },
  work: { do: "overwrite", blockBytes: 1 << 20, passes: 8 },
};
