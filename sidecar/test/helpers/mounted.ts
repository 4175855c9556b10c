// A real mount of a real server, served by processes of its own, gone when the test ends.

import type { ChildProcess } from "node:child_process";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { Cleaning } from "./cleanups.ts";
import { BUCKET, BucketServer, end, startLogging, type BucketKind } from "./bucket-server.ts";

const run = promisify(execFile);

/** Both channels, and both ways in which the kernel gets at bytes on one of them; the semantics suite runs on each. */
export const SETTINGS = [
  { name: "passthrough", options: ["--channel", "device", "--passthrough", "on"] },
  { name: "daemon", options: ["--channel", "device", "--passthrough", "off"] },
  { name: "native", options: ["--channel", "native"] },
] as const;
export type SettingName = (typeof SETTINGS)[number]["name"];

/** The channels, for tests in which it makes no difference how the kernel gets at bytes. */
const CHANNELS = [
  { name: "device", options: ["--channel", "device"] },
  { name: "native", options: ["--channel", "native"] },
] as const;

/** What a test that runs on each channel mounts with. */
export interface Channel {
  readonly name: (typeof CHANNELS)[number]["name"];
  mounted(t: Cleaning, server: BucketServer, options?: readonly string[]): Promise<Mount>;
  session(t: Cleaning, options?: readonly string[]): Promise<{ server: BucketServer; mount: Mount }>;
}

type Declare = (title: string, implementation: (t: ExecutionContext) => Promise<void>) => void;

export type EachChannel = (
  title: string,
  act: (t: ExecutionContext, channel: Channel) => Promise<void>,
) => void;

/** Declares a test for each channel. */
export function onEachChannel(declare: Declare, kind: BucketKind = {}): EachChannel {
  return (title, act) => {
    for (const { name, options } of CHANNELS) {
      const channel: Channel = {
        name,
        mounted: (t, server, more = []) => mounted(t, server, [...options, ...more]),
        session: (t, more = []) => session(t, [...options, ...more], kind),
      };
      declare(`${name}: ${title}`, (t) => act(t, channel));
    }
  };
}

/** Stands for the folder of its own that each mount has for this. */
export const SERVE_DIRECTORY = "{serve}";

export class Mount {
  readonly directory: string;
  /** Where it is served for reading, if that is asked for. */
  readonly serveDirectory: string;
  readonly stateDirectory: string;
  readonly lines: Record<string, unknown>[] = [];
  readonly #server: BucketServer;
  readonly #options: readonly string[];
  readonly #environment: Record<string, string>;
  #child: ChildProcess | undefined;

  constructor(
    server: BucketServer,
    base: string,
    options: readonly string[],
    environment: Record<string, string> = {},
  ) {
    this.#environment = environment;
    this.directory = path.join(base, "mnt");
    this.serveDirectory = path.join(base, "serve");
    this.stateDirectory = path.join(base, "state");
    this.#server = server;
    this.#options = options;
  }

  path(...parts: string[]): string {
    return path.join(this.directory, ...parts);
  }

  /** A path in the folder for reading. */
  served(...parts: string[]): string {
    return path.join(this.serveDirectory, ...parts);
  }

  get child(): ChildProcess {
    if (this.#child === undefined) throw new Error("not mounted");
    return this.#child;
  }

  async start(options: readonly string[] = []): Promise<void> {
    const words = [
      "mount",
      BUCKET,
      this.directory,
      "--endpoint",
      this.#server.url,
      "--state-dir",
      this.stateDirectory,
    ];
    const { child } = await startLogging(
      [...words, ...this.#options, ...options].map((word) =>
        word === SERVE_DIRECTORY ? this.serveDirectory : word,
      ),
      ({ message }) => (message === "mounted" ? true : undefined),
      { lines: this.lines, environment: this.#environment },
    );
    this.#child = child;
  }

  /** Stops in good order; answers the exit code. */
  async stop(): Promise<number | null> {
    const code = this.#child === undefined ? 0 : await end(this.#child, "SIGTERM");
    this.#child = undefined;
    return code;
  }

  /** Kills supervisor and worker at once. */
  async kill(): Promise<void> {
    const supervisor = this.child;
    const workers = await childrenOf(supervisor.pid ?? 0);
    for (const pid of [supervisor.pid ?? 0, ...workers]) process.kill(pid, "SIGKILL");
    await end(supervisor, "SIGKILL");
    this.#child = undefined;
  }

  /** False if there is none just now. */
  async killWorker(): Promise<boolean> {
    const worker = await this.worker().catch(() => undefined);
    return worker !== undefined && killIfThere(worker);
  }

  /** Kills worker after worker, faster than one can serve, until the supervisor gives up; answers its exit code. */
  async loseWorkers(): Promise<number | null> {
    const { child } = this;
    while (child.exitCode === null && child.signalCode === null) {
      await this.killWorker();
      await delay(5);
    }
    this.#child = undefined;
    return child.exitCode;
  }

  async restart(options: readonly string[] = []): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  /** Process id of the worker; with the native channel there is one process only. */
  async worker(): Promise<number> {
    if (this.#isNative()) return this.child.pid ?? 0;
    const [worker] = await childrenOf(this.child.pid ?? 0);
    if (worker === undefined) throw new Error("no worker");
    return worker;
  }

  #isNative(): boolean {
    return this.#options.includes("native") || process.env["SIDEMOUNT_CHANNEL"] === "native";
  }

  /** Memory the worker has now and had at most, in bytes. */
  async memory(): Promise<{ now: number; peak: number }> {
    const status = await readFile(`/proc/${await this.worker()}/status`, "utf8");
    const read = (key: string): number =>
      Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
    return { now: read("VmRSS"), peak: read("VmHWM") };
  }

  async detach(): Promise<void> {
    // One for the filesystem, one for the folder below it; failing means there is nothing to detach.
    for (const folder of [this.directory, this.serveDirectory])
      for (let layer = 0; layer < 3; layer += 1) await run("umount", ["-l", folder]).catch(() => undefined);
  }
}

export function killIfThere(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Mounts `server`'s bucket for the length of a test. */
export async function mounted(
  t: Cleaning,
  server: BucketServer,
  options: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<Mount> {
  const base = await mkdtemp(path.join(os.tmpdir(), "sidemount-test-"));
  const mount = new Mount(server, base, options, environment);
  await run("mkdir", ["-p", mount.directory, mount.serveDirectory]);
  await run("chmod", ["755", base]);
  t.teardown(async () => {
    await mount.stop();
    await mount.detach();
    await rm(base, { recursive: true, force: true });
  });
  await mount.start();
  return mount;
}

/** A server and a mount of it. */
export async function session(
  t: Cleaning,
  options: readonly string[] = [],
  kind: BucketKind = {},
): Promise<{ server: BucketServer; mount: Mount }> {
  const server = await BucketServer.start(t, kind);
  return { server, mount: await mounted(t, server, options) };
}

/** A server and a mount of it with a second folder for reading. */
export async function servedSession(
  t: Cleaning,
  options: readonly string[] = [],
): Promise<{ server: BucketServer; mount: Mount }> {
  return session(t, [...options, "--serve", SERVE_DIRECTORY]);
}

/** Runs a shell script in the mount; answers its output. */
export async function shell(mount: Mount, script: string): Promise<string> {
  const { stdout } = await run("bash", ["-euo", "pipefail", "-c", script], {
    cwd: mount.directory,
    maxBuffer: 64 << 20,
  });
  return stdout;
}

/** Runs a Python program in the mount; answers its output. */
export async function python(mount: Mount, program: string): Promise<string> {
  const { stdout } = await run("/usr/bin/python3", ["-c", program], {
    cwd: mount.directory,
    maxBuffer: 64 << 20,
  });
  return stdout;
}
