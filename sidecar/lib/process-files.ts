// What a process has open, as /proc tells.
//
// Asked while that process waits for us, so nothing here may wait for it: reading its descriptors' links would,
// during an exec that closes descriptors (the kernel holds a lock over both). fdinfo does not; a time limit
// stands for whatever else may.

import { readFile, readdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Long for a kernel that reads its own tables, also on a machine that has much else to do: mostly it is a millisecond. */
const LIMIT_MS = 1000;
/** A look at all processes, which mostly ends with the first ones. */
const SEARCH_LIMIT_MS = 100;
const O_ACCMODE = 0o3;

/**
 * Whether process (or thread) `pid` has the file with this inode number on a FUSE mount open for writing. False
 * when it cannot be known (another pid namespace, the process is gone, no answer in time). Source: proc(5), fdinfo.
 */
export async function hasWritableOnFuse(pid: number, inode: number, limitMs = LIMIT_MS): Promise<boolean> {
  if (pid === 0) return false;
  return Promise.race([look(pid, inode).catch(() => false), delay(limitMs, false, { ref: false })]);
}

/**
 * The process that a thread belongs to. Undefined when it cannot be known (another pid namespace, the thread is gone, no
 * answer in time). Source: proc_pid_status(5), Tgid.
 */
export async function threadGroupOf(thread: number, limitMs = LIMIT_MS): Promise<number | undefined> {
  const status = readFile(`/proc/${thread}/status`, "latin1").catch(() => "");
  const group = field(await Promise.race([status, delay(limitMs, "", { ref: false })]), "Tgid");
  return group === undefined ? undefined : Number(group);
}

/** All processes but this one, the youngest first: numbers are given out in turn, and begin again at pid_max. */
export async function processes(): Promise<number[]> {
  const [names, load, max] = await Promise.all([
    readdir("/proc"),
    readFile("/proc/loadavg", "latin1"), // its last word is the number given out last, proc_loadavg(5)
    readFile("/proc/sys/kernel/pid_max", "latin1"),
  ]);
  const last = Number(load.trim().split(" ").at(-1));
  const age = (pid: number): number => (last - pid + Number(max)) % Number(max);
  const pids = names.map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  return pids.sort((a, b) => age(a) - age(b));
}

/**
 * The first of these processes that has the file with this inode number open for writing, on the file system with this
 * device number (as mountinfo has it, `0:51`). Undefined if there is none among those that may be looked at, or could
 * be looked at in time.
 */
export async function findWriter(
  device: string,
  inode: number,
  pids: readonly number[],
): Promise<number | undefined> {
  const stop = new AbortController();
  const search = async (): Promise<number | undefined> => {
    for (const pid of pids) {
      if (stop.signal.aborted) return undefined;
      if (await hasWritable(pid, device, inode).catch(() => false)) return pid;
    }
    return undefined;
  };
  const found = await Promise.race([search(), delay(SEARCH_LIMIT_MS, undefined, { ref: false })]);
  stop.abort();
  return found;
}

async function hasWritable(pid: number, device: string, inode: number): Promise<boolean> {
  const texts = await writableOf(pid, inode);
  if (texts.length === 0) return false;
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, "utf8"))
    .split("\n")
    .map((line) => line.split(" "));
  return texts.some((text) =>
    mounts.some(([id, , number]) => id === field(text, "mnt_id") && number === device),
  );
}

/** proc_pid_fdinfo(5) of each descriptor of a file with this number that can write. */
async function writableOf(pid: number, inode: number): Promise<string[]> {
  return (await descriptorsOf(pid)).filter(
    (text) =>
      field(text, "ino") === String(inode) &&
      (Number.parseInt(field(text, "flags") ?? "0", 8) & O_ACCMODE) !== 0,
  );
}

/** proc_pid_fdinfo(5) of each descriptor. */
async function descriptorsOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fdinfo`;
  const descriptors = await readdir(folder);
  return Promise.all(descriptors.map((name) => readFile(`${folder}/${name}`, "utf8").catch(() => "")));
}

async function look(pid: number, inode: number): Promise<boolean> {
  const mountIds = (await writableOf(pid, inode)).map((text) => field(text, "mnt_id"));
  if (mountIds.length === 0) return false;
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, "utf8")).split("\n");
  return mountIds.some((id) => mounts.some((line) => line.startsWith(`${id} `) && line.includes(" - fuse")));
}

function field(text: string, key: string): string | undefined {
  return new RegExp(`^${key}:\\s*(\\d+)$`, "m").exec(text)?.[1];
}
