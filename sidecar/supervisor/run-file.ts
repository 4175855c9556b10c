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
const RECORD_MAX_BYTES = 16_384;
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;

/**
 * Where a user's notes are. Not taken from the environment, so that root finds them too. The folder below /run/user
 * comes and goes with the user's sessions, and what lies in /tmp for long may be tidied away: hence both.
 */
function runFolders(uid: number): readonly string[] {
  if (uid === 0) return [RUN_FOLDER];
  const [own, other] = [`/run/user/${uid}`, `/tmp/sidemount-${uid}`];
  return belongsTo(own, uid) ? [`${own}/sidemount`, other] : [other];
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
  /** The process that serves it. */
  readonly worker?: number;
}

function fileNameFor(directory: string): string {
  return `${createHash("sha256").update(directory).digest("hex").slice(0, 16)}.json`;
}

/** Notes that this process supervises the mount at `directory` (absolute, without links), and who serves it. */
export function noteSupervisor(directory: string, worker = process.pid): void {
  const startTime = startTimeOf(process.pid) ?? "";
  const record: RunRecord = { directory, pid: process.pid, startTime, worker };
  const uid = process.getuid?.() ?? 0;
  for (const folder of runFolders(uid)) {
    fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
    if (!belongsTo(folder, uid)) throw new Error(`${folder} can be written by others`);
    const file = path.join(folder, fileNameFor(directory));
    const temporary = `${file}.${process.pid}`;
    fs.writeFileSync(temporary, `${JSON.stringify(record)}\n`);
    fs.renameSync(temporary, file);
  }
}

/** Takes our note away. */
export function forgetSupervisor(directory: string): void {
  const uid = process.getuid?.() ?? 0;
  for (const folder of runFolders(uid)) {
    const ours = readRecord(folder, directory, uid)?.pid === process.pid;
    if (ours) fs.rmSync(path.join(folder, fileNameFor(directory)), { force: true });
  }
}

/** The process that supervises the mount at `directory`, if it is noted and still runs. */
export function livingSupervisor(directory: string): number | undefined {
  return livingRecord(directory)?.pid;
}

/** The process that serves the mount at `directory`, as its living supervisor has noted. */
export function workerOf(directory: string): number | undefined {
  return livingRecord(directory)?.worker;
}

function livingRecord(directory: string): RunRecord | undefined {
  for (const uid of possibleOwners(directory)) {
    for (const folder of runFolders(uid)) {
      const record = readRecord(folder, directory, uid);
      if (record === undefined || record.directory !== directory) continue;
      if (startTimeOf(record.pid) === record.startTime && ownerOf(record.pid) === uid) return record;
    }
  }
  return undefined;
}

function ownerOf(pid: number): number | undefined {
  return fs.statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

function readRecord(folder: string, directory: string, uid: number): RunRecord | undefined {
  if (!belongsTo(folder, uid)) return undefined;
  try {
    const record: unknown = JSON.parse(readOwnFile(path.join(folder, fileNameFor(directory)), uid));
    return isRunRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** A small file of that user's. Whoever owns the folder may have put something there that is endless, or never answers. */
function readOwnFile(file: string, uid: number): string {
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fs.fstatSync(descriptor);
    if (!stat.isFile() || stat.uid !== uid || stat.size > RECORD_MAX_BYTES) return "";
    return fs.readFileSync(descriptor, "utf8");
  } finally {
    fs.closeSync(descriptor);
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
    typeof value.startTime === "string" &&
    (!("worker" in value) || Number.isInteger(value.worker))
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
