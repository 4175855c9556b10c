// `local`: what a program loses when its files, complete on this machine, are on the mount instead of on the disk.

import { create } from "./local/create.ts";
import { largeWrites } from "./local/large-writes.ts";
import { sequentialRead } from "./local/sequential-read.ts";
import { smallFile } from "./local/small-file.ts";
import { smallWrites } from "./local/small-writes.ts";
import { stat } from "./local/stat.ts";
import { verdict, type Benchmark } from "./benchmark.ts";
import { measure, type Result } from "./measure.ts";
import { makePlace } from "./place.ts";

export const local: Benchmark = {
  name: "local",
  title: "Complete files through the mount, against the same disk",
  explanation: `The same program does the same work on the mount and on the disk that holds its copies, in turn, in processes of its
own. Files are complete and in the page cache on both sides, and unchanged for an hour as the bucket sees it. Reads and
writes are timed without open and close, unless they are named.`,
  rounds: 9,
  async measure(cleaning, rounds, say) {
    const place = await makePlace(cleaning);
    const results: Result[] = [];
    for (const scenario of [sequentialRead, smallWrites, largeWrites, create, smallFile, stat]) {
      say(scenario.title);
      results.push(await measure(scenario, place, rounds));
    }
    return {
      headings: ["", "mount", "disk", "mount ÷ disk", "goal", ""],
      rows: results.map(row),
      passed: results.every(({ scenario, ratio }) => verdict(ratio, scenario.goal) !== "FAIL"),
    };
  },
};

function row({ scenario, mount, disk, ratio }: Result): string[] {
  const { unit, goal, title } = scenario;
  const figure = (value: number): string =>
    unit === "MB" ? `${value.toFixed(0)} MB/s` : `${value.toFixed(value < 10 ? 2 : 0)} µs`;
  return [
    title,
    figure(mount),
    figure(disk),
    ratio.toFixed(2),
    goal === undefined ? "" : `≥ ${goal}`,
    verdict(ratio, goal),
  ];
}
