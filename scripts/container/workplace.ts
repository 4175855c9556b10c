// The temporary folder of one run, with a note of whose it is: what a run that was killed left is put away by
// the next one.

import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { unmountWithin } from "../demo/mounts.ts";
import { openToAll } from "../demo/place.ts";
import { killAll, processTree, startTimeOf } from "../demo/processes.ts";

const prefix = "sidemount-container-";
const note = "owner.json";
const variable = "SIDEMOUNT_CONTAINER_WORKPLACE";

/** Makes it, for this process and those it starts from now on. Every user may pass through, as apps must. */
export async function makeWorkplace(): Promise<string> {
  const directory = await mkdtemp(join(await parent(), prefix));
  await chmod(directory, 0o711);
  process.env[variable] = directory;
  await writeFile(
    join(directory, note),
    JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid) }),
  );
  return directory;
}

export function workplace(): string {
  const directory = process.env[variable];
  if (directory === undefined) throw new Error("These tests are started by npm run test:container");
  return directory;
}

async function parent(): Promise<string> {
  return (await openToAll(tmpdir())) ? tmpdir() : "/run";
}

/** Removes the workplaces of runs that are over, with every process and mount in them. */
export async function clearAbandoned(say: (line: string) => void): Promise<void> {
  const above = await parent();
  for (const name of await readdir(above)) {
    if (!name.startsWith(prefix)) continue;
    const directory = join(above, name);
    if (await isOwned(directory)) continue;
    // An engine, its containerd, and what holds each container: all name the folder they work in.
    for (let tries = 0; tries < 5; tries += 1) {
      const left = processesNaming(directory).flatMap(processTree);
      if (left.length === 0) break;
      killAll(left);
    }
    await removeWorkplace(directory);
    say(`Removed ${directory}, left over from a run that was killed.`);
  }
}

export async function removeWorkplace(directory: string): Promise<void> {
  await removeFolder(directory, basename(directory));
}

/** Removes a folder with what is mounted in it, and the control groups of that name. Their processes are gone. */
export async function removeFolder(directory: string, controlGroup: string): Promise<void> {
  await unmountWithin(directory);
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  const root = "/sys/fs/cgroup";
  // Of the first version there is a tree for each controller, of the second one tree.
  for (const tree of ["", ...(existsSync(root) ? readdirSync(root) : [])]) {
    removeEmptyFolders(join(root, tree, controlGroup));
  }
}

/** Control groups are folders; the files in them are the kernel's and go with them. */
function removeEmptyFolders(directory: string): void {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(directory, entry.name));
  }
  try {
    rmdirSync(directory);
  } catch {
    // Somebody is still in it; it costs nothing.
  }
}

async function isOwned(directory: string): Promise<boolean> {
  try {
    const { pid, startTime } = JSON.parse(await readFile(join(directory, note), "utf8")) as {
      pid: number;
      startTime: number;
    };
    return startTimeOf(pid) === startTime;
  } catch {
    return false;
  }
}

function processesNaming(directory: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => commandLineOf(pid).includes(`${directory}/`))
    .map(Number);
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return ""; // gone
  }
}
