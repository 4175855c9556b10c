// One program that belongs to the demo. It runs in a session of its own, so that Ctrl-C in a terminal reaches
// only the demo, which then stops things in the right order; its output goes to one file; a file beside it
// names the process, so that a later start can find it if the demo itself was killed.

import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { killAll, processTree, sessionOf, startTimeOf } from "./processes.ts";

const orphanTimeoutMs = 10_000;

export interface ServiceOptions {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly workingDirectory: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly logFile: string;
  readonly pidFile: string;
  /** What must be done before each start. */
  readonly prepare?: () => Promise<void>;
  /** Asks it to finish what it is doing and go. */
  readonly stopSignal?: NodeJS.Signals;
  /** How long finishing may take before it is killed. */
  readonly stopTimeoutMs: number;
  readonly readyTimeoutMs: number;
  /** Whether it does its work now. `said` is what it has written since it was started. */
  readonly ready: (said: string) => Promise<boolean> | boolean;
}

/** A program did not start, or ended although nobody asked it to. */
export class ServiceFailed extends Error {
  readonly service: Service;
  constructor(service: Service, what: string) {
    super(`${service.name} ${what}`);
    this.service = service;
  }
}

export class Service {
  readonly options: ServiceOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve("was never started");
  #expectedToEnd = false;
  #logStart = 0;
  #leader: number | undefined;

  constructor(options: ServiceOptions) {
    this.options = options;
  }

  get name(): string {
    return this.options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Resolves once it is ready. `onDeath` is called if it ends later without having been asked. */
  async start(onDeath: (failure: ServiceFailed) => void, signal?: AbortSignal): Promise<void> {
    const { program, args, workingDirectory, environment, logFile, pidFile, readyTimeoutMs } = this.options;
    await this.options.prepare?.();
    const output = openSync(logFile, "a");
    this.#logStart = statSync(logFile).size;
    this.#expectedToEnd = false;
    const child = spawn(program, args, {
      cwd: workingDirectory,
      env: environment,
      detached: true,
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    this.#child = child;
    this.#leader = child.pid;
    this.#exited = ended(child);
    if (child.pid !== undefined) {
      writeFileSync(pidFile, JSON.stringify({ pid: child.pid, startTime: startTimeOf(child.pid) }));
    }

    let ready = false;
    void this.#exited.then((how) => {
      this.#child = undefined;
      if (ready && !this.#expectedToEnd) onDeath(new ServiceFailed(this, how));
    });
    const deadline = performance.now() + readyTimeoutMs;
    while (!(await this.options.ready(this.said()))) {
      if (!this.#child) throw new ServiceFailed(this, `${await this.#exited} before it was ready`);
      signal?.throwIfAborted();
      if (performance.now() > deadline) {
        throw new ServiceFailed(this, `was not ready within ${readyTimeoutMs / 1000} s`);
      }
      await sleep(40);
    }
    ready = true;
  }

  /** Asks it to end and waits; kills it if it takes too long. */
  async stop(): Promise<void> {
    await this.#stopLeader();
    await this.#endRest();
    await rm(this.options.pidFile, { force: true });
  }

  async #stopLeader(): Promise<void> {
    if (this.#child?.pid === undefined) return;
    this.#expectedToEnd = true;
    const tree = processTree(this.#child.pid);
    this.#child.kill(this.options.stopSignal ?? "SIGTERM");
    const inTime = await Promise.race([
      this.#exited.then(() => true),
      sleep(this.options.stopTimeoutMs, false, { ref: false }),
    ]);
    if (!inTime) {
      killAll(tree);
      await this.#exited;
      console.error(
        `${this.name} did not stop within ${this.options.stopTimeoutMs / 1000} s and was killed.`,
      );
    }
  }

  /** What it had started may outlive it, if it was killed: a while to finish, then no longer. */
  async #endRest(): Promise<void> {
    if (this.#leader === undefined) return;
    const deadline = performance.now() + orphanTimeoutMs;
    for (let rest = sessionOf(this.#leader); rest.length > 0; rest = sessionOf(this.#leader)) {
      if (performance.now() > deadline) killAll(rest);
      await sleep(50);
    }
  }

  /** Ends it and all it has started in the middle of whatever they do, as a power cut would. */
  async kill(): Promise<void> {
    if (this.#child?.pid === undefined) return;
    this.#expectedToEnd = true;
    killAll(processTree(this.#child.pid));
    await this.#exited;
    await rm(this.options.pidFile, { force: true });
  }

  /** What it has written since it was last started. */
  said(): string {
    return readFileSync(this.options.logFile).subarray(this.#logStart).toString();
  }
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`could not be started (${error.message})`));
    child.once("exit", (code, signal) =>
      resolve(signal ? `was ended by ${signal}` : `ended with status ${code}`),
    );
  });
}
