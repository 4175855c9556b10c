// Which process supervises the mount at a folder: one small file for each, below /run for root, in a folder of their
// own for other users.
//
// A process id alone could be somebody else's by now, so the time the process started is kept with it. What a user
// has noted is believed for processes of that user only: root may act on it.

import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

import { mountsAt, readMountTable } from "./mount-table.ts";

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
  /** When it was mounted, in milliseconds since the epoch. Notes of earlier versions do not say. */
  readonly mountedMs?: number;
}

function fileNameFor(directory: string, ending = ".json"): string {
  return `${createHash("sha256").update(directory).digest("hex").slice(0, 16)}${ending}`;
}

/** Where the process that serves the mount at `directory` listens for questions, if it is one of this user. */
export function ownControlSocket(directory: string): string {
  const uid = process.getuid?.() ?? 0;
  const folder = runFolders(uid).at(-1) ?? RUN_FOLDER; // the one that does not go with the user's sessions
  makeRunFolder(folder, uid);
  return path.join(folder, fileNameFor(directory, ".sock"));
}

/** Where such a process may be listening, of whichever user. */
export function controlSocketsOf(directory: string): string[] {
  return possibleOwners(directory).flatMap((uid) =>
    runFolders(uid)
      .filter((folder) => belongsTo(folder, uid))
      .map((folder) => path.join(folder, fileNameFor(directory, ".sock"))),
  );
}

/** The mounts of this user that are noted and whose process still runs; for root those of all who have mounted something. */
export function livingMounts(): { directory: string; pid: number; mountedMs: number | undefined }[] {
  const uid = process.getuid?.() ?? 0;
  const owners = new Set([uid, ...(uid === 0 ? readMountTable().map(({ userId }) => userId) : [])]);
  const found = new Map<string, { directory: string; pid: number; mountedMs: number | undefined }>();
  for (const owner of owners) {
    for (const record of runFolders(owner).flatMap((folder) => recordsIn(folder, owner))) {
      const { directory, pid, mountedMs } = record;
      if (isAlive(record, owner)) found.set(directory, { directory, pid, mountedMs });
    }
  }
  return [...found.values()].toSorted((one, other) => (one.directory < other.directory ? -1 : 1));
}

function recordsIn(folder: string, uid: number): RunRecord[] {
  if (!belongsTo(folder, uid)) return [];
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".json"));
  return names.flatMap((name) => {
    const record = readRecordFile(path.join(folder, name), uid);
    return record !== undefined && fileNameFor(record.directory) === name ? [record] : [];
  });
}

function isAlive({ pid, startTime }: RunRecord, uid: number): boolean {
  return startTimeOf(pid) === startTime && ownerOf(pid) === uid;
}

function makeRunFolder(folder: string, uid: number): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (!belongsTo(folder, uid)) throw new Error(`${folder} can be written by others`);
}

/** Notes that this process supervises the mount at `directory` (absolute, without links), and who serves it since when. */
export function noteSupervisor(directory: string, mountedMs: number, worker = process.pid): void {
  const startTime = startTimeOf(process.pid) ?? "";
  const record: RunRecord = { directory, pid: process.pid, startTime, worker, mountedMs };
  const uid = process.getuid?.() ?? 0;
  for (const folder of runFolders(uid)) {
    makeRunFolder(folder, uid);
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
      if (isAlive(record, uid)) return record;
    }
  }
  return undefined;
}

function ownerOf(pid: number): number | undefined {
  return fs.statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

function readRecord(folder: string, directory: string, uid: number): RunRecord | undefined {
  if (!belongsTo(folder, uid)) return undefined;
  return readRecordFile(path.join(folder, fileNameFor(directory)), uid);
}

function readRecordFile(file: string, uid: number): RunRecord | undefined {
  try {
    const record: unknown = JSON.parse(readOwnFile(file, uid));
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
