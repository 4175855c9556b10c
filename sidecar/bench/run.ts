// `npm run bench`: measures, prints, and fails when a goal is missed.

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Cleanups } from "../test/helpers/cleanups.ts";
import { local } from "./local.ts";
import { describeMachine } from "./machine.ts";
import { measure, type Result } from "./measure.ts";
import { makePlace } from "./place.ts";
import { report } from "./report.ts";
import type { Benchmark } from "./scenario.ts";

const BENCHMARKS: readonly Benchmark[] = [local];
const PAGE = fileURLToPath(new URL("../../docs/BENCHMARKS.md", import.meta.url));
const DEFAULT_ROUNDS = 9;

const HELP = `Usage: npm run bench -- NAME [--rounds N] [--write]

Measures and prints a table. Exits with 1 when a goal is missed.

${BENCHMARKS.map(({ name, title }) => `  ${name.padEnd(12)}${title}`).join("\n")}

  --rounds N  measurements on each side, at least 3 (${DEFAULT_ROUNDS})
  --write     write the result to docs/BENCHMARKS.md as well
  --help      this text

Needs root and /dev/fuse. Uses the folder for temporary files (TMPDIR) and leaves nothing there.
`;

const INTRODUCTION = `# Benchmarks

Written by \`npm run bench -- NAME --write\`, not by hand. Compare shares, not figures: they are from one run on the machine
that is named.

`;

interface Wish {
  readonly benchmark: Benchmark;
  readonly rounds: number;
  readonly write: boolean;
}

/** What was asked for; a text if it cannot be done, or if help was. */
function understand(words: string[]): Wish | { readonly text: string; readonly status: number } {
  const refuse = (text: string): { text: string; status: number } => ({
    text: `${text}\n\n${HELP}`,
    status: 2,
  });
  let parsed;
  try {
    const options = {
      rounds: { type: "string" },
      write: { type: "boolean" },
      help: { type: "boolean" },
    } as const;
    parsed = parseArgs({ args: words, options, allowPositionals: true });
  } catch (error) {
    return refuse((error as Error).message);
  }
  const { values, positionals } = parsed;
  if (values.help === true) return { text: HELP, status: 0 };
  const [name, ...more] = positionals;
  if (name === undefined) return refuse("Which benchmark?");
  if (more.length > 0) return refuse(`One benchmark at a time, not also ${more.join(" ")}.`);
  const benchmark = BENCHMARKS.find((each) => each.name === name);
  const there = BENCHMARKS.map((each) => each.name).join(", ");
  if (benchmark === undefined) return refuse(`There is no benchmark ${name}. There are: ${there}.`);
  const rounds = Number(values.rounds ?? DEFAULT_ROUNDS);
  if (!Number.isInteger(rounds) || rounds < 3)
    return refuse(`--rounds ${values.rounds}: expected a whole number of at least 3.`);
  return { benchmark, rounds, write: values.write === true };
}

async function main(): Promise<number> {
  const wish = understand(process.argv.slice(2));
  if ("text" in wish) {
    (wish.status === 0 ? process.stdout : process.stderr).write(wish.text);
    return wish.status;
  }
  const { benchmark, rounds, write } = wish;
  const machine = describeMachine(); // first: the commit that is measured is the one that was started
  const results = await measureAll(benchmark, rounds);
  const text = report(benchmark, machine, results, rounds);
  process.stdout.write(text);
  if (write) await writeFile(PAGE, INTRODUCTION + text);
  return results.some(({ passed }) => passed === false) ? 1 : 0;
}

async function measureAll({ scenarios }: Benchmark, rounds: number): Promise<Result[]> {
  const cleanups = new Cleanups();
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.once(signal, () => void cleanups.run().finally(() => process.exit(status)));
  try {
    const place = await makePlace(cleanups);
    const results: Result[] = [];
    for (const scenario of scenarios) {
      process.stderr.write(`${scenario.title} …\n`);
      results.push(await measure(scenario, place, rounds));
    }
    return results;
  } finally {
    await cleanups.run();
  }
}

process.exitCode = await main();
