// Figures as text, which is at the same time the page in docs/.

import type { Machine } from "./machine.ts";
import type { Result } from "./measure.ts";
import type { Benchmark } from "./scenario.ts";

const HEADINGS = ["", "mount", "disk", "mount ÷ disk", "goal", ""];

export function report(
  benchmark: Benchmark,
  machine: Machine,
  results: readonly Result[],
  rounds: number,
): string {
  const { cores, processor, memoryGiB, kernel, node, disk, commit } = machine;
  return `## \`npm run bench -- ${benchmark.name}\`: ${sentence(benchmark.title)}

${benchmark.explanation}

- machine: ${cores} cores (${processor}), ${memoryGiB} GiB of memory, Linux ${kernel}, ${disk}, Node ${node}
- commit: ${commit}
- medians of ${rounds} measurements on each side, in turn, in one run

${table([HEADINGS, ...results.map(row)])}
`;
}

function row({ scenario, mount, disk, ratio, passed }: Result): string[] {
  const { unit, goal, title } = scenario;
  const figure = (value: number): string =>
    unit === "MB" ? `${value.toFixed(0)} MB/s` : `${value.toFixed(value < 10 ? 2 : 0)} µs`;
  const verdict = passed === undefined ? "" : passed ? "pass" : "FAIL";
  return [
    title,
    figure(mount),
    figure(disk),
    ratio.toFixed(2),
    goal === undefined ? "" : `≥ ${goal}`,
    verdict,
  ];
}

/** A table as prettier would write it; all columns but the first and the last are numbers. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(3, ...rows.map((cells) => cells[i]?.length ?? 0)),
  );
  const isNumber = (i: number): boolean => i > 0 && i < columns - 1;
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (isNumber(i) ? (cells[i] ?? "").padStart(width) : (cells[i] ?? "").padEnd(width))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (isNumber(i) ? `${"-".repeat(width - 1)}:` : "-".repeat(width))).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), rule, ...body.map(line)].join("\n");
}

function sentence(title: string): string {
  return title.charAt(0).toLowerCase() + title.slice(1);
}
