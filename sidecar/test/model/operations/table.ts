// All operations. A new group is a file beside this one and a line here.

import fc from "fast-check";
import type { Step } from "../operation.ts";
import { ATTRIBUTES } from "./attributes.ts";
import { CONTENTS } from "./contents.ts";
import { ELSEWHERE } from "./elsewhere.ts";
import { FOLDERS } from "./folders.ts";
import { LOOKING } from "./looking.ts";
import { NAMES } from "./names.ts";
import { OPENING } from "./opening.ts";
import { RESTARTING } from "./restarting.ts";
import { TOGETHER } from "./together.ts";

const OPERATIONS = [
  ...OPENING,
  ...CONTENTS,
  ...NAMES,
  ...ATTRIBUTES,
  ...LOOKING,
  ...FOLDERS,
  ...ELSEWHERE,
  ...TOGETHER,
  ...RESTARTING,
];

/** Weights are whole numbers to fast-check. */
const PRECISION = 10;

/** One operation of any kind. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  ...OPERATIONS.map(({ weight, arbitrary }) => ({ weight: weight * PRECISION, arbitrary })),
);
