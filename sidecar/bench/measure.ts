// Measuring: both sides in turn, in one run, so that what else the machine does meets both alike; then the median.

import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Place, Side } from "./place.ts";
import type { Scenario } from "./scenario.ts";
import type { Done, Work } from "./work.ts";

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("./work.ts", import.meta.url));

/** Longer than a copy takes to come to rest after its last close. */
const SETTLE_MS = 600;

export interface Result {
  readonly scenario: Scenario;
  /** Medians: MB/s for throughput, otherwise microseconds for one operation. */
  readonly mount: number;
  readonly disk: number;
  /** Speed of the mount as a share of the disk's. */
  readonly ratio: number;
}

/** Measures a scenario `rounds` times on each side. */
export async function measure(scenario: Scenario, place: Place, rounds: number): Promise<Result> {
  const sides = [place.mount, place.disk];
  for (const side of sides) {
    await mkdir(folderOf(side));
    await doWork(side, scenario.prepare);
  }
  await place.age();
  await delay(SETTLE_MS);
  const figures = { mount: [] as number[], disk: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    // Who begins changes, so that neither always comes after the other.
    for (const side of round % 2 === 0 ? sides : sides.toReversed())
      figures[side.name].push(figureOf(scenario, await doWork(side, scenario.work)));
  }
  for (const side of sides) await rm(folderOf(side), { recursive: true });
  const [mount, disk] = [median(figures.mount), median(figures.disk)];
  return { scenario, mount, disk, ratio: scenario.unit === "MB" ? mount / disk : disk / mount };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function figureOf({ unit }: Scenario, { bytes, operations, seconds }: Done): number {
  return unit === "MB" ? bytes / 1e6 / seconds : (seconds * 1e6) / operations;
}

function folderOf(side: Side): string {
  return path.join(side.folder, "bench");
}

async function doWork(side: Side, work: Work): Promise<Done> {
  const { stdout } = await run(process.execPath, [PROGRAM, folderOf(side), JSON.stringify(work)]);
  return JSON.parse(stdout) as Done;
}
