// A machine as a user who is not root finds it, as far as mounting goes: a mount namespace with its own /dev/fuse and
// /etc/fuse.conf, so that nothing of the real ones is changed.

import { execFile, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import { openToAll } from "./open-to-all.ts";
import { startProcess, type Running } from "../../cli/fixtures/session.ts";
import { BUCKET, BucketServer } from "./bucket-server.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
// Where only its owner can get at the project (say, below /root), the user may read everything.
const READING = openToAll(MAIN) ? [] : ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
/** nobody: it has a name, which fusermount wants, and owns nothing. */
export const USER = 65_534;

export class UserWorld {
  readonly server: BucketServer;
  readonly folder: string;
  readonly #namespace: number;

  private constructor(server: BucketServer, folder: string, namespace: number) {
    this.server = server;
    this.folder = folder;
    this.#namespace = namespace;
  }

  /** `configuration`: what /etc/fuse.conf says; `deviceMode`: who may use /dev/fuse. */
  static async make(
    t: ExecutionContext,
    { configuration = "user_allow_other\n", deviceMode = 0o666 } = {},
  ): Promise<UserWorld> {
    const server = await BucketServer.start(t);
    const folder = mkdtempSync(path.join(tmpdir(), "sidemount-user-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
    chmodSync(folder, 0o755);
    for (const name of ["home", "mnt"]) {
      mkdirSync(path.join(folder, name));
      chownSync(path.join(folder, name), USER, USER);
    }
    writeFileSync(path.join(folder, "fuse.conf"), configuration);
    const device = path.join(folder, "fuse");
    await run("mknod", [device, "c", "10", "229"]);
    chmodSync(device, deviceMode);
    const script =
      'mount --bind "$0/fuse" /dev/fuse && mount --bind "$0/fuse.conf" /etc/fuse.conf && echo made && exec sleep 600';
    const unshare = ["-m", "--propagation", "private", "sh", "-c", script, folder];
    const child = spawn("unshare", unshare, { stdio: ["ignore", "pipe", "inherit"] });
    // The mounts in it end with the last process in it.
    t.teardown(async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    await once(child.stdout, "data");
    return new UserWorld(server, folder, child.pid ?? 0);
  }

  get mountPoint(): string {
    return path.join(this.folder, "mnt");
  }

  /** Starts `sidemount WORDS` as the user. */
  sidemount(
    t: ExecutionContext,
    words: string[],
    environment: Record<string, string> = {},
    uid = USER,
    folder = ".",
  ): Running {
    const command = ["nsenter", ...this.#enter(uid, environment, folder), process.execPath, MAIN, ...words];
    return startProcess(t, command);
  }

  /** Mounts the bucket as the user, until the test ends. */
  async mounted(t: ExecutionContext, more: string[] = []): Promise<Running> {
    const running = this.sidemount(t, ["mount", BUCKET, this.mountPoint, ...this.endpoint, ...more]);
    await running.shows('"message":"mounted"');
    return running;
  }

  get endpoint(): string[] {
    return ["--endpoint", this.server.url];
  }

  /** Runs a script in the world as `uid`; answers its output. Rejects if it fails. */
  async shell(script: string, uid = USER): Promise<string> {
    const { stdout } = await run("nsenter", [...this.#enter(uid), "sh", "-eu", "-c", script]);
    return stdout;
  }

  /** Types of what is mounted at the mount point. */
  mounts(): string[] {
    const table = readFileSync(`/proc/${this.#namespace}/mountinfo`, "utf8").split("\n");
    return table
      .filter((line) => line.split(" ")[4] === this.mountPoint)
      .map((line) => line.split(" - ")[1]?.split(" ")[0] ?? "");
  }

  /** The process that serves the mount point, or nothing. */
  async kill(running: Running): Promise<void> {
    // What we started is the program that enters the world; it has become the one that serves.
    running.process.kill("SIGKILL");
    await running.outcome;
    await delay(100);
  }

  #enter(uid: number, environment: Record<string, string> = {}, folder = "."): string[] {
    const variables = { PATH: "/usr/bin:/bin", HOME: path.join(this.folder, "home"), ...environment };
    return [
      `--mount=/proc/${this.#namespace}/ns/mnt`,
      "setpriv",
      `--reuid=${uid}`,
      `--regid=${uid}`,
      "--clear-groups",
      ...READING,
      "/usr/bin/env",
      "-i",
      `--chdir=${path.join(this.folder, folder)}`,
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ];
  }
}
