// Figures as text, which is at the same time the page in docs/.

import type { Benchmark, Figures } from "./benchmark.ts";
import type { Machine } from "./machine.ts";

export function report(
  benchmark: Benchmark,
  machine: Machine,
  { headings, rows }: Figures,
  rounds: number,
): string {
  const { cores, processor, memoryGiB, kernel, node, disk, commit } = machine;
  return `## \`npm run bench -- ${benchmark.name}\`: ${sentence(benchmark.title)}

${benchmark.explanation}

- machine: ${cores} cores (${processor}), ${memoryGiB} GiB of memory, Linux ${kernel}, ${disk}, Node ${node}
- commit: ${commit}
- medians of ${rounds} measurements on each side, in turn, in one run

${table([headings, ...rows])}
`;
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

/** The page with this section in place of its earlier one, or at its end. */
export function withSection(page: string, section: string): string {
  const [heading = ""] = /^## `[^`]*`/.exec(section) ?? [];
  const start = page.indexOf(heading);
  if (start < 0) return `${page.trimEnd()}\n\n${section}`;
  const end = page.indexOf("\n## ", start + 1);
  return `${page.slice(0, start)}${section}${end < 0 ? "" : page.slice(end)}`;
}
