// Which process supervises the mount at a folder: one small file for each, below /run for root, in a folder of their
// own for other users.
//
// A process id alone could be somebody else's by now, so the time the process started is kept with it. What a user
// has noted is believed for processes of that user only: root may act on it.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

import { mountsAt } from "./mount-table.ts";

const RUN_FOLDER = "/run/sidemount";
const GROUP_AND_OTHERS_WRITE = 0o022;

/** Where a user's notes are. Not taken from the environment, so that root finds them too. */
function runFolder(uid: number): string {
  if (uid === 0) return RUN_FOLDER;
  const own = `/run/user/${uid}`;
  return belongsTo(own, uid) ? `${own}/sidemount` : `/tmp/sidemount-${uid}`;
}

/** Whether it is a folder that only this user can have filled. */
function belongsTo(folder: string, uid: number): boolean {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === uid && (stat.mode & GROUP_AND_OTHERS_WRITE) === 0;
}

/** The user of this process, and, for root, those who have mounted at the folder. */
function possibleOwners(directory: string): number[] {
  const uid = process.getuid?.() ?? 0;
  return [...new Set([uid, ...(uid === 0 ? mountsAt(directory).map((mount) => mount.userId) : [])])];
}

interface RunRecord {
  readonly directory: string;
  readonly pid: number;
  readonly startTime: string;
}

function runFile(directory: string, uid: number): string {
  const name = createHash("sha256").update(directory).digest("hex").slice(0, 16);
  return path.join(runFolder(uid), `${name}.json`);
}

/** Notes that this process supervises the mount at `directory` (absolute, without links). */
export function noteSupervisor(directory: string): void {
  const record: RunRecord = { directory, pid: process.pid, startTime: startTimeOf(process.pid) ?? "" };
  const uid = process.getuid?.() ?? 0;
  const folder = runFolder(uid);
  fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (!belongsTo(folder, uid)) throw new Error(`${folder} can be written by others`);
  const file = runFile(directory, uid);
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, `${JSON.stringify(record)}\n`);
  fs.renameSync(temporary, file);
}

/** Takes our note away. */
export function forgetSupervisor(directory: string): void {
  const uid = process.getuid?.() ?? 0;
  if (readRecord(directory, uid)?.pid === process.pid) fs.rmSync(runFile(directory, uid), { force: true });
}

/** The process that supervises the mount at `directory`, if it is noted and still runs. */
export function livingSupervisor(directory: string): number | undefined {
  for (const uid of possibleOwners(directory)) {
    const record = readRecord(directory, uid);
    if (record === undefined || record.directory !== directory) continue;
    if (startTimeOf(record.pid) === record.startTime && ownerOf(record.pid) === uid) return record.pid;
  }
  return undefined;
}

function ownerOf(pid: number): number | undefined {
  return fs.statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

function readRecord(directory: string, uid: number): RunRecord | undefined {
  if (!belongsTo(runFolder(uid), uid)) return undefined;
  try {
    const record: unknown = JSON.parse(fs.readFileSync(runFile(directory, uid), "utf8"));
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
