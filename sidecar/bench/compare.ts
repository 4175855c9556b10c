// Two ways to do the same thing, measured in turns.

export interface Comparison {
  readonly what: string;
  readonly unit: string;
  /** Medians, in `unit`; more is better. */
  readonly disk: number;
  readonly mount: number;
  /** Mount over disk. */
  readonly ratio: number;
  /** The least ratio wanted; undefined: for information. */
  readonly goal: number | undefined;
}

/** Runs both in turns, `rounds` times after one that does not count, and compares the medians of what they answer. */
export async function compare(
  what: { what: string; unit: string; goal?: number; rounds?: number },
  disk: () => Promise<number>,
  mount: () => Promise<number>,
): Promise<Comparison> {
  const results: [number, number][] = [];
  for (let round = 0; round <= (what.rounds ?? 5); round += 1) {
    const pair: [number, number] = [await disk(), await mount()];
    if (round > 0) results.push(pair);
  }
  const [onDisk, onMount] = [
    median(results.map(([first]) => first)),
    median(results.map(([, second]) => second)),
  ];
  return {
    what: what.what,
    unit: what.unit,
    disk: onDisk,
    mount: onMount,
    ratio: onMount / onDisk,
    goal: what.goal,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** As a table in Markdown. */
export function table(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ what, unit, disk, mount, ratio, goal }) => {
    const verdict = goal === undefined ? "" : ratio >= goal ? `≥ ${goal}: yes` : `≥ ${goal}: NO`;
    return `| ${what} | ${amount(disk)} ${unit} | ${amount(mount)} ${unit} | ${ratio.toFixed(2)} | ${verdict} |`;
  });
  return ["| | local disk | mount | ratio | goal |", "|---|---|---|---|---|", ...rows].join("\n");
}

function amount(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
