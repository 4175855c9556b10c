// A Docker engine: the one that runs here, or one of our own below a temporary folder, which touches nothing of
// a person's own Docker and leaves nothing behind.

import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { killAll, processTree } from "../demo/processes.ts";
import { letBridgesThrough } from "./bridges.ts";
import { Docker } from "./docker.ts";
import { removeFolder } from "./workplace.ts";

export interface Engine {
  readonly docker: Docker;
  /** Started by us: everything in it is ours. */
  readonly own: boolean;
  readonly about: string;
  close(): Promise<void>;
}

const daemon = "/usr/sbin/dockerd";
// Of the same package as the daemon: another one that is first in the PATH may lack what it needs for BuildKit.
const ownClient = "/usr/bin/docker";
const readyWithinMs = 30_000;

export async function openEngine(directory: string, signal: AbortSignal): Promise<Engine> {
  const present = new Docker("docker");
  const about = await versionOf(present);
  if (about !== undefined) {
    return {
      docker: present,
      own: false,
      about: `${about}, which runs here`,
      close: () => Promise.resolve(),
    };
  }
  // Layers in a file system of their own need one that supports it below; copies of everything do not.
  for (const driver of ["overlay2", "vfs"]) {
    const engine = await startEngine(join(directory, driver), driver, signal);
    if (engine !== undefined) return engine;
  }
  throw new Error(
    `No Docker engine runs here, and none could be started. What it said:\n${lastWords(directory)}`,
  );
}

async function versionOf(docker: Docker): Promise<string | undefined> {
  const format = "Docker {{.ServerVersion}}, {{.Driver}}";
  const outcome = await docker
    .call(["info", "--format", format], { timeoutMs: 20_000 })
    .catch(() => undefined); // there is no docker
  const said = outcome?.stdout.trim() ?? "";
  return outcome?.status === 0 && /^Docker \d/.test(said) ? said : undefined;
}

async function startEngine(
  directory: string,
  driver: string,
  signal: AbortSignal,
): Promise<Engine | undefined> {
  await mkdir(directory, { recursive: true });
  const name = basename(join(directory, ".."));
  const socket = join(directory, "docker.sock");
  const output = openSync(join(directory, "log"), "a");
  const child = spawn(
    daemon,
    [
      `--data-root=${join(directory, "data")}`,
      `--exec-root=${join(directory, "run")}`,
      `--pidfile=${join(directory, "pid")}`,
      `--host=unix://${socket}`,
      `--storage-driver=${driver}`,
      // Nothing outside may notice: no rules in the firewall, no bridge but those of our own networks, published
      // ports by a program, and names of our own where a system's containerd has to be shared.
      "--iptables=false",
      "--ip6tables=false",
      "--ip-forward=false",
      "--bridge=none",
      `--containerd-namespace=${name}`,
      `--containerd-plugins-namespace=${name}-plugins`,
      `--cgroup-parent=/${name}`,
    ],
    // A session of its own: Ctrl-C is for us, we stop it when its containers are gone.
    { detached: true, stdio: ["ignore", output, output] },
  );
  closeSync(output);
  const docker = new Docker(ownClient, `unix://${socket}`);
  const closeBridges = await letBridgesThrough();
  const end = once(async () => {
    await stopEngine(child, docker);
    await removeFolder(directory, name);
    await closeBridges();
  });
  const about = await ready(child, docker, signal).catch(async (error: unknown) => {
    await end();
    throw error;
  });
  if (about !== undefined) return { docker, own: true, about: `${about}, started for this`, close: end };
  await end();
  return undefined;
}

async function ready(child: ChildProcess, docker: Docker, signal: AbortSignal): Promise<string | undefined> {
  let running = true;
  child.once("exit", () => (running = false));
  child.once("error", () => (running = false));
  const deadline = performance.now() + readyWithinMs;
  while (running && performance.now() < deadline) {
    signal.throwIfAborted();
    const about = await versionOf(docker);
    if (about !== undefined) return about;
    await sleep(200);
  }
  return undefined;
}

async function stopEngine(child: ChildProcess, docker: Docker): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null) {
    const containers = (await docker.call(["ps", "--all", "--quiet"])).stdout.split("\n").filter(Boolean);
    if (containers.length > 0) await docker.call(["rm", "--force", "--volumes", ...containers]);
    const networks = await docker.call(["network", "ls", "--quiet", "--filter", "type=custom"]);
    for (const network of networks.stdout.split("\n").filter(Boolean))
      await docker.call(["network", "rm", network]);
    const tree = processTree(child.pid);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await Promise.race([ended, sleep(20_000)]);
    killAll([...new Set([...tree, ...processTree(child.pid)])]);
  }
}

function lastWords(directory: string): string {
  return ["overlay2", "vfs"]
    .map((driver) => join(directory, driver, "log"))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, "utf8").trimEnd().split("\n").slice(-5).join("\n"))
    .join("\n");
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
