// After a demo that was killed: its programs go on by themselves, and its mount may be dead. Both are put away
// before the next start, and said.

import { readdirSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { unmountWithin } from "./mounts.ts";
import { pidFile, type Place } from "./place.ts";
import { killAll, processTree, startTimeOf } from "./processes.ts";

const ownName = "demo";

// What a well-behaved program needs to end when asked; the mount has confirmed uploads only, so nothing is lost.
const graceMs = 3000;

/** Another demo is at work here, and it is not ours to stop. */
export class AlreadyRunning extends Error {}

/** Puts away what an earlier start has left, and notes that this process is the demo now. */
export async function takeOver(place: Place, say: (line: string) => void): Promise<void> {
  const noted = notedProcesses(place);
  const running = noted.find(
    ({ name, pid, startTime }) => name === ownName && startTimeOf(pid) === startTime,
  );
  if (running && running.pid !== process.pid) {
    throw new AlreadyRunning(
      `The demo is already running (process ${running.pid}). Stop it with Ctrl-C where it runs, or with: kill ${running.pid}`,
    );
  }

  const trees = noted
    .filter(({ name }) => name !== ownName)
    .map(({ name, pid, startTime }) => ({ name, pids: remaining(pid, startTime) }))
    .filter(({ pids }) => pids.length > 0);
  if (trees.length > 0) {
    for (const { pids } of trees) askToEnd(pids[0]!);
    await ended(trees.flatMap(({ pids }) => pids));
    for (const { name, pids } of trees) {
      killAll(pids.filter((pid) => startTimeOf(pid) !== undefined));
      say(`Stopped ${name} (process ${pids[0]}), left over from an earlier start.`);
    }
  }
  for (const directory of await unmountWithin(place.run)) {
    say(`Unmounted ${directory}, left over from an earlier start.`);
  }
  for (const { name } of noted) await rm(pidFile(place, name), { force: true });
}

/** Notes that this process is the demo now. */
export async function noteOwn(place: Place): Promise<void> {
  const note = { pid: process.pid, startTime: startTimeOf(process.pid) };
  await writeFile(pidFile(place, ownName), JSON.stringify(note));
}

interface Noted {
  readonly name: string;
  readonly pid: number;
  readonly startTime: number;
}

function notedProcesses(place: Place): Noted[] {
  const directory = join(place.run, "pids");
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return []; // the first start
  }
  return names.flatMap((file) => {
    try {
      const { pid, startTime } = JSON.parse(readFileSync(join(directory, file), "utf8")) as Noted;
      return [{ name: file.replace(/\.pid$/, ""), pid, startTime }];
    } catch {
      return []; // the demo was killed while writing it: before there was anything to note
    }
  });
}

/** The processes of a program that was noted. Its number may belong to someone else by now. */
function remaining(pid: number, startTime: number): number[] {
  const now = startTimeOf(pid);
  return now === undefined || now === startTime ? processTree(pid) : [];
}

function askToEnd(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It has ended meanwhile.
  }
}

async function ended(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + graceMs;
  while (performance.now() < deadline && pids.some((pid) => startTimeOf(pid) !== undefined)) await sleep(50);
}
