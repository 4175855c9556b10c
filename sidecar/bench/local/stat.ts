// Attributes of a file, by its path.

import type { Scenario } from "../scenario.ts";

export const stat: Scenario = {
  title: "Stat",
  unit: "operation",
  prepare: { do: "make files", count: 100, bytes: 4096 },
  work: { do: "stat", rounds: 200 },
};
