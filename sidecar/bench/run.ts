// `npm run bench`: measures, prints, and fails when a goal is missed.

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Cleanups } from "../test/helpers/cleanups.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { local } from "./local.ts";
import { describeMachine } from "./machine.ts";
import { nginx } from "./nginx.ts";
import { report, withSection } from "./report.ts";

const BENCHMARKS: readonly Benchmark[] = [local, nginx];
const PAGE = fileURLToPath(new URL("../../docs/BENCHMARKS.md", import.meta.url));

const HELP = `Usage: npm run bench -- NAME [--rounds N] [--write]

Measures and prints a table. Exits with 1 when a goal is missed.

${BENCHMARKS.map(({ name, title }) => `  ${name.padEnd(12)}${title}`).join("\n")}

  --rounds N  measurements on each side, at least 3 (${BENCHMARKS.map(({ name, rounds }) => `${name}: ${rounds}`).join(", ")})
  --write     write the result to docs/BENCHMARKS.md as well
  --help      this text

Needs root and /dev/fuse. Uses the folder for temporary files (TMPDIR) and leaves nothing there.
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
  const rounds = Number(values.rounds ?? benchmark.rounds);
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
  const figures = await measure(wish);
  const text = report(benchmark, machine, figures, rounds);
  process.stdout.write(text);
  if (write) await writeFile(PAGE, withSection(await readFile(PAGE, "utf8"), text));
  return figures.passed ? 0 : 1;
}

async function measure({ benchmark, rounds }: Wish): Promise<Figures> {
  const cleanups = new Cleanups();
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.once(signal, () => void cleanups.run().finally(() => process.exit(status)));
  try {
    return await benchmark.measure(cleanups, rounds, (line) => process.stderr.write(`${line} …\n`));
  } finally {
    await cleanups.run();
  }
}

process.exitCode = await main();
