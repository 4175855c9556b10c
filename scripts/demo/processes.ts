// Processes as /proc shows them: who descends from whom, and whether a process is still the one we started.

import { readdirSync, readFileSync } from "node:fs";

interface Status {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks since boot. A number used again for another process has another start time. */
  readonly startTime: number;
  readonly zombie: boolean;
}

function statusOf(pid: number): Status | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // gone
  }
  // The name in parentheses may hold anything, so the fields are counted from behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    zombie: fields[0] === "Z",
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTime: Number(fields[19]),
  };
}

function allProcesses(): Status[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statusOf(Number(name)))
    .filter((status) => status !== undefined && !status.zombie) as Status[];
}

/** When a process started, or undefined if there is none. */
export function startTimeOf(pid: number): number | undefined {
  return statusOf(pid)?.startTime;
}

/** A process, all that descend from it, and all that share the session it leads, also if it has ended itself. */
export function processTree(leader: number): number[] {
  const found = new Set<number>();
  const all = allProcesses();
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent, session } of all) {
      if (pid === leader || session === leader || found.has(parent)) found.add(pid);
    }
  }
  return [...found];
}

/** Those that share the session which this process leads or led, without itself. */
export function sessionOf(leader: number): number[] {
  return allProcesses().flatMap(({ pid, session }) => (session === leader && pid !== leader ? [pid] : []));
}

export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}
