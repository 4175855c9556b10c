// Whether a folder can become a mount point. Nothing here asks the folder itself anything before the mount table
// says that nothing is mounted there: a stuck mount would keep us waiting for ever.

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import type { Log } from "../telemetry/log.ts";
import { codeOf, MountRefused } from "./mount-refused.ts";
import { unmountLazily } from "./mount-stack.ts";
import { isOurs, isUnderlay, type Mount, mountsAt } from "./mount-table.ts";
import { livingSupervisor } from "./run-file.ts";

const LINKS_MAX = 40; // as the kernel: ELOOP
// Starting the process that asks takes most of it where the machine is busy.
const ANSWER_WITHIN_MS = 5000;

/**
 * Checks that `directory` can be mounted on and answers with its path without links. A dead mount of ours is
 * removed first. Throws MountRefused.
 */
export async function prepareMountPoint(directory: string, log: Log): Promise<string> {
  const real = withoutLinks(directory);
  const mounts = mountsAt(real);
  const top = mounts.at(-1);
  if (top !== undefined) await clear(real, top, log);
  checkFolder(real);
  return real;
}

/** The path with all links followed, none of which is looked up inside a mount at the path itself. */
export function withoutLinks(directory: string, links = 0): string {
  const absolute = path.resolve(directory);
  const parent = realParent(absolute);
  const literal = path.join(parent, path.basename(absolute));
  if (mountsAt(literal).length > 0 || literal === "/") return literal;
  try {
    const target = fs.readlinkSync(literal);
    if (links === LINKS_MAX)
      throw new MountRefused(`${directory} leads in a circle`, "Choose another folder.");
    return withoutLinks(path.resolve(parent, target), links + 1);
  } catch (error) {
    if (codeOf(error) === "EINVAL" || codeOf(error) === "ENOENT") return literal; // not a link
    throw error;
  }
}

function realParent(absolute: string): string {
  try {
    return fs.realpathSync(path.dirname(absolute));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    throw missing(absolute, error);
  }
}

function missing(directory: string, cause: unknown): MountRefused {
  return new MountRefused(`${directory} does not exist`, `Create it: mkdir -p ${directory}`, cause);
}

function checkFolder(directory: string): void {
  let names: string[];
  try {
    names = fs.readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw missing(directory, error);
    if (codeOf(error) === "ENOTDIR") {
      throw new MountRefused(`${directory} is not a folder`, "Choose a folder to mount on.", error);
    }
    throw new MountRefused(`${directory} cannot be read (${codeOf(error)})`, "Choose another folder.", error);
  }
  if (names.length > 0) {
    throw new MountRefused(
      `${directory} is not empty; mounting there would hide ${names.length === 1 ? `"${names[0]}"` : `${names.length} entries`}`,
      "Choose an empty folder.",
    );
  }
}

/** Removes what a dead mount of ours has left; refuses everything else. */
async function clear(directory: string, top: Mount, log: Log): Promise<void> {
  if (!isOurs(top)) {
    throw new MountRefused(
      `${directory} is already a mount point (${top.type} from ${top.source})`,
      "Choose another folder, or unmount that first.",
    );
  }
  const pid = livingSupervisor(directory);
  if (pid !== undefined) {
    throw new MountRefused(
      `${directory} is already mounted by process ${pid}`,
      `Stop it first: sidemount unmount ${directory}`,
    );
  }
  if (!isUnderlay(top)) await refuseUnlessDead(directory, top);
  log.warn({ directory, source: top.source }, "a dead mount was left here and is removed");
  await unmountLazily(directory);
}

async function refuseUnlessDead(directory: string, top: Mount): Promise<void> {
  const state = await stateOf(directory);
  if (state === "dead") return;
  throw new MountRefused(
    state === "alive"
      ? `${directory} is already mounted (${top.source})`
      : `${directory} is a mount that does not answer (${top.source})`,
    state === "alive" ? `Stop it first: sidemount unmount ${directory}` : `Remove it: umount -l ${directory}`,
  );
}

/** Asks the mount from a process of its own, which can be left behind if it is never answered. */
async function stateOf(directory: string): Promise<"alive" | "dead" | "stuck"> {
  // ENOTCONN, "Transport endpoint is not connected": nobody holds the other end any more. A dead mount can also
  // have been aborted by hand: ECONNABORTED. Attributes the kernel may still answer by itself, statfs never.
  const script = `require("node:fs").statfs(process.argv[1], (error) => {
    process.exit(["ENOTCONN", "ECONNABORTED"].includes(error?.code) ? 10 : 11);
  })`;
  const child = spawn(process.execPath, ["-e", script, directory], { stdio: "ignore", env: {} });
  const { promise, resolve } = Promise.withResolvers<"alive" | "dead" | "stuck">();
  const timer = setTimeout(() => resolve("stuck"), ANSWER_WITHIN_MS);
  child.on("error", () => resolve("stuck"));
  child.on("exit", (code) => resolve(code === 10 ? "dead" : "alive"));
  const state = await promise;
  clearTimeout(timer);
  if (state === "stuck") child.kill("SIGKILL");
  child.unref();
  return state;
}
