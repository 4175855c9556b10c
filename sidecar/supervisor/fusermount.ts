// Mounting for users who are not root: the program `fusermount`, which belongs to root and runs as root (setuid), and
// what it demands. It says what it misses on stderr only, so it is looked at first.

import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { codeOf, MountRefused } from "./mount-refused.ts";

const CONFIGURATION = "/etc/fuse.conf";
/** Where the libfuse of the native channel looks first; after that in PATH. */
const BUILT_IN = "/usr/local/bin";
/** Where programs are looked for without a PATH, as by execvp(3). */
const USUAL_PATH = "/bin:/usr/bin";
const SETUID = 0o4000;
const STICKY = 0o1000;

/** Throws MountRefused with what this user lacks to mount at `directory`. */
export function checkUserMount({ directory, allowOther }: { directory: string; allowOther: boolean }): void {
  checkDevice();
  const program = fusermountPath();
  if (program === undefined) {
    throw new MountRefused(
      "fusermount is missing, by which users who are not root mount",
      "Install it (Debian and Ubuntu: apt-get install fuse3), or start as root.",
    );
  }
  const { mode, uid } = fs.statSync(program);
  if ((mode & SETUID) === 0 || uid !== 0) {
    throw new MountRefused(
      `${program} does not run as root, so it cannot mount for other users`,
      `As root: chown root ${program} && chmod u+s ${program}. Or start as root.`,
    );
  }
  if (allowOther && !otherUsersAllowed()) {
    throw new MountRefused(
      `this user may not let others see the folder: ${CONFIGURATION} has no line user_allow_other`,
      "Let root add that line, or mount with --no-allow-other: then only this user sees the folder.",
    );
  }
  checkOwnFolder(directory);
  checkHasName();
}

/** It mounts only where the user could have put files anyway. */
function checkOwnFolder(directory: string): void {
  const { mode, uid } = fs.statSync(directory);
  const foreign = (mode & STICKY) !== 0 && uid !== process.getuid?.();
  if (may(directory, fs.constants.W_OK) && !foreign) return;
  throw new MountRefused(
    `this user may not mount on ${directory}, which belongs to somebody else`,
    "Choose a folder that belongs to you.",
  );
}

function checkHasName(): void {
  try {
    os.userInfo();
  } catch (error) {
    throw new MountRefused(
      `user ${process.getuid?.()} has no name here, and fusermount wants one`,
      "Add a line for it to /etc/passwd, or start as root.",
      error,
    );
  }
}

function checkDevice(): void {
  if (!fs.existsSync("/dev/fuse")) {
    throw new MountRefused(
      "there is no /dev/fuse here",
      "In a container: --device /dev/fuse. On a machine: modprobe fuse.",
    );
  }
  if (may("/dev/fuse", fs.constants.R_OK | fs.constants.W_OK)) return;
  throw new MountRefused(
    "this user may not use /dev/fuse",
    "As root: chmod 666 /dev/fuse (most distributions have it so). Or start as root.",
  );
}

function may(file: string, mode: number): boolean {
  try {
    fs.accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}

/** Absolute, and without links in its folder: neither a working directory nor a mount made later changes what it is. */
function programPath(name: string, folders: readonly string[]): string | undefined {
  return folders
    .filter((folder) => folder !== "" && fs.existsSync(folder))
    .map((folder) => path.join(fs.realpathSync(folder), name))
    .find((file) => may(file, fs.constants.X_OK));
}

const searchPath = (): string[] => (process.env["PATH"] ?? USUAL_PATH).split(":");
const fusermountPath = (): string | undefined => programPath("fusermount", [BUILT_IN, ...searchPath()]);
const umountPath = (): string | undefined => programPath("umount", searchPath());

/** Whether root has allowed it; fusermount itself can read the file where this user cannot. */
function otherUsersAllowed(): boolean {
  try {
    return fs
      .readFileSync(CONFIGURATION, "utf8")
      .split("\n")
      .some((line) => line.trim() === "user_allow_other");
  } catch (error) {
    return codeOf(error) === "EACCES";
  }
}

/** Unmounts `lazily` from under those who use it; else rejects with EBUSY if somebody does. */
export type Unmount = (directory: string, lazily: boolean) => Promise<void>;

/**
 * Unmounting by a program: `umount` for root, fusermount for others. A process that serves the mount must not do it by
 * itself, as it could wait for its own answer. For the same reason such a process finds the program before it mounts,
 * by this call: a folder of PATH may lie in the mount. Throws MountRefused.
 */
export function unmountProgram(): Unmount {
  const isRoot = process.getuid?.() === 0;
  const program = isRoot ? umountPath() : fusermountPath();
  if (program === undefined) {
    throw isRoot
      ? new MountRefused("umount is missing", "Install the package mount (util-linux).")
      : new MountRefused("fusermount is missing", "Install the package fuse3.");
  }
  const words = (lazily: boolean): string[] =>
    isRoot ? ["-i", ...(lazily ? ["-l"] : [])] : ["-u", ...(lazily ? ["-z"] : [])];
  return (directory, lazily) => unmountBy(program, words(lazily), directory);
}

async function unmountBy(program: string, words: readonly string[], directory: string): Promise<void> {
  // Starting it waits until it is in its working directory: never one in the mount.
  const options = { cwd: "/", env: { ...process.env, LC_ALL: "C" } };
  try {
    await promisify(execFile)(program, [...words, "--", directory], options);
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    if (/busy/i.test(said)) throw Object.assign(new Error(said, { cause: error }), { code: "EBUSY" });
    throw new MountRefused(`${directory} could not be unmounted: ${said}`, "Unmount it as root.", error);
  }
}
