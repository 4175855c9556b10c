// A file overwritten from beginning to end, 4 KiB at a time, as databases and copying programs do.

import type { Scenario } from "../scenario.ts";

export const smallWrites: Scenario = {
  title: "4 KiB writes",
  unit: "MB",
  goal: 0.9,
  prepare: { do: "make file", mebibytes: 64 },
  work: { do: "overwrite", blockBytes: 4096, passes: 4 },
};
