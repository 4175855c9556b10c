// What was asked for on the command line: npm run test:model -- [--minutes N] [--seed S] [--path P] [--channel C]
// [--bucket flat|hierarchical]

import { parseArgs } from "node:util";

const DEFAULT_MINUTES = "5";

export interface Arguments {
  readonly minutes: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly channel: string | undefined;
  readonly hierarchical: boolean;
}

export function parseArguments(words: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...words],
    options: {
      minutes: { type: "string", default: DEFAULT_MINUTES },
      seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
      path: { type: "string" },
      channel: { type: "string" },
      bucket: { type: "string", default: "flat" },
    },
  });
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: a number of minutes is expected`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new Error(`--seed ${values.seed}: a whole number is expected`);
  const hierarchical = values.bucket === "hierarchical";
  if (!hierarchical && values.bucket !== "flat")
    throw new Error(`--bucket ${values.bucket}: flat or hierarchical is expected`);
  return { minutes, seed, path: values.path, channel: values.channel, hierarchical };
}
