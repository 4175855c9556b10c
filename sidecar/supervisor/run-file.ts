// Which process supervises the mount at a folder: one small file for each, below /run.
//
// A process id alone could be somebody else's by now, so the time the process started is kept with it.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const RUN_FOLDER = "/run/sidemount";

interface RunRecord {
  readonly directory: string;
  readonly pid: number;
  readonly startTime: string;
}

function runFile(directory: string): string {
  return path.join(RUN_FOLDER, `${createHash("sha256").update(directory).digest("hex").slice(0, 16)}.json`);
}

/** Notes that this process supervises the mount at `directory` (absolute, without links). */
export function noteSupervisor(directory: string): void {
  const record: RunRecord = { directory, pid: process.pid, startTime: startTimeOf(process.pid) ?? "" };
  fs.mkdirSync(RUN_FOLDER, { recursive: true, mode: 0o755 });
  const temporary = `${runFile(directory)}.${process.pid}`;
  fs.writeFileSync(temporary, `${JSON.stringify(record)}\n`);
  fs.renameSync(temporary, runFile(directory));
}

/** Takes our note away. */
export function forgetSupervisor(directory: string): void {
  if (readRecord(directory)?.pid === process.pid) fs.rmSync(runFile(directory), { force: true });
}

/** The process that supervises the mount at `directory`, if it is noted and still runs. */
export function livingSupervisor(directory: string): number | undefined {
  const record = readRecord(directory);
  if (record === undefined || record.directory !== directory) return undefined;
  return startTimeOf(record.pid) === record.startTime ? record.pid : undefined;
}

function readRecord(directory: string): RunRecord | undefined {
  try {
    const record: unknown = JSON.parse(fs.readFileSync(runFile(directory), "utf8"));
    return isRunRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isRunRecord(value: unknown): value is RunRecord {
  return (
    typeof value === "object" &&
    value !== null &&
    "directory" in value &&
    typeof value.directory === "string" &&
    "pid" in value &&
    Number.isInteger(value.pid) &&
    "startTime" in value &&
    typeof value.startTime === "string"
  );
}

/** Field 22 of proc_pid_stat(5), in ticks since boot; undefined if there is no such process or it is a zombie. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[22 - 3];
  } catch {
    return undefined;
  }
}
