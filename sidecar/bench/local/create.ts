// A new file. The time includes close, which on the mount returns when the bucket has it, and on the disk at once.

import type { Scenario } from "../scenario.ts";

export const create: Scenario = {
  title: "New 16 MiB file, written and closed",
  unit: "MB",
  prepare: { do: "make files", count: 1, bytes: 1 },
  work: { do: "create", mebibytes: 16 },
};
