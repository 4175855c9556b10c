// `npm run bench -- NAME`: measures on this machine, in one run, and says whether the goals are met.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { local } from "./local.ts";
import { table, type Comparison } from "./compare.ts";

const BENCHES: Record<string, { about: string; run: () => Promise<Comparison[]> }> = {
  local: { about: "complete files through the mount against the same disk", run: local },
};
const RESULTS = fileURLToPath(new URL("../../docs/BENCHMARKS.md", import.meta.url));

function help(): string {
  const names = Object.entries(BENCHES).map(([name, { about }]) => `  ${name.padEnd(8)} ${about}`);
  return [
    "npm run bench -- NAME [--write]",
    "",
    ...names,
    "",
    "Everything is measured in one run, alternating, and given as median and ratio: times of one machine and moment",
    "say little by themselves. Exit code 1 when a goal is missed. --write puts the result into docs/BENCHMARKS.md.",
  ].join("\n");
}

function machine(): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  return `${os.cpus().length} cores, Linux ${os.release()}, Node ${process.version}, commit ${commit}`;
}

async function main(words: readonly string[]): Promise<number> {
  const name = words.find((word) => !word.startsWith("-"));
  if (words.includes("--help") || name === undefined) {
    console.log(help());
    return name === undefined && !words.includes("--help") ? 2 : 0;
  }
  const bench = BENCHES[name];
  if (bench === undefined) {
    console.error(`There is no bench "${name}". There are: ${Object.keys(BENCHES).join(", ")}.`);
    return 2;
  }
  console.log(`${bench.about}\n${machine()}\n`);
  const comparisons = await bench.run();
  const text = table(comparisons);
  console.log(text);
  if (words.includes("--write")) {
    const head = "# Benchmarks\n\nWritten by `npm run bench -- NAME --write`; ratios are what counts.\n";
    writeFileSync(RESULTS, `${head}\n## ${name}: ${bench.about}\n\n${machine()}\n\n${text}\n`);
  }
  return comparisons.every(({ goal, ratio }) => goal === undefined || ratio >= goal) ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
