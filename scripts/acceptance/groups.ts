// All steps, in the order in which they are acted out.

import { changes } from "./changes.ts";
import { logs } from "./logs.ts";
import { many } from "./many.ts";
import { overwriting } from "./overwriting.ts";
import { persistence } from "./persistence.ts";
import { serving } from "./serving.ts";
import type { Group } from "./step.ts";
import { trouble } from "./trouble.ts";
import { tools } from "./tools.ts";
import { uploads } from "./uploads.ts";

export const groups: readonly Group[] = [
  uploads,
  changes,
  serving,
  tools,
  logs,
  trouble,
  persistence,
  many,
  overwriting,
];
