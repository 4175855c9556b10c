// A small file opened, read and closed, as a web server does.

import type { Scenario } from "../scenario.ts";

export const smallFile: Scenario = {
  title: "Open, read and close a 4 KiB file",
  unit: "operation",
  prepare: { do: "make files", count: 100, bytes: 4096 },
  work: { do: "open, read, close", rounds: 20 },
};
