// The supervisor: mounts, owns the device, starts the worker, passes on that it is to stop, unmounts last.
//
// It never touches data. What can fail or hang is in the worker; while this process holds the device, the mount
// survives the worker's death.

import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

import type { MountOptions } from "../config/mount-options.ts";
import type { Log } from "../telemetry/log.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_OWED } from "./messages.ts";
import { prepareMountPoint } from "./mount-point.ts";
import { codeOf, MountRefused } from "./mount-refused.ts";
import { detachServed, mountBoth, removeUnderlay, sourceOf, unmountServed } from "./mount-stack.ts";
import { forgetSupervisor, noteSupervisor } from "./run-file.ts";
import { describeEnd, WorkerFailed, WorkerProcess } from "./worker-process.ts";

// What the worker gets beyond its own time limit before it counts as stuck.
const DRAIN_GRACE_MS = 10_000;
/** A worker that is told to hurry has this long to report. */
const HURRY_MS = 5_000;
/** From `unmounted` to the end of the worker. */
const EXIT_MS = 10_000;

export interface SuperviseOptions {
  readonly mountOptions: MountOptions;
  /** Program and arguments of the worker. */
  readonly workerCommand: readonly string[];
  /** Its whole environment; UV_THREADPOOL_SIZE is added. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  readonly log: Log;
  readonly onReady?: () => void;
}

export interface SupervisedMount {
  /** Resolves when programs can use the folder. Rejects with MountRefused or WorkerFailed. */
  readonly ready: Promise<void>;
  /** Resolves with the exit code once everything is unmounted and the worker is gone. */
  readonly finished: Promise<number>;
  /** Ends it in good order; a second call hurries. */
  stop(signal: string): void;
}

/** Mounts, and keeps the mount until stopped or until the worker ends. */
export function superviseMount(options: SuperviseOptions): SupervisedMount {
  const supervision = new Supervision(options);
  const finished = supervision.run();
  return {
    ready: supervision.ready.promise,
    finished,
    stop: (signal) => supervision.stop(signal),
  };
}

/** Asked to stop while still starting. */
class StoppedEarly extends Error {}

class Supervision {
  readonly ready = Promise.withResolvers<void>();
  readonly #options: SuperviseOptions;
  readonly #log: Log;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #hurried = Promise.withResolvers<void>();
  #stopping = false;
  #lost = false;
  #worker: WorkerProcess | undefined;
  #device: number | undefined;
  /** Where it is mounted, without links; undefined while nothing is. */
  #mounted: string | undefined;

  constructor(options: SuperviseOptions) {
    this.#options = options;
    this.#log = options.log;
    this.ready.promise.catch(() => {}); // also told by the exit code; whoever waits for `ready` reports it
  }

  stop(signal: string): void {
    const hurry = this.#stopping;
    this.#log.info({ signal, hurry }, hurry ? "stopping at once" : "stopping");
    this.#stopping = true;
    this.#worker?.send({ type: "stop", hurry });
    this.#stopped.resolve();
    if (hurry) this.#hurried.resolve();
  }

  async run(): Promise<number> {
    const failure = await this.#bringUp();
    if (failure === undefined) {
      this.ready.resolve();
      this.#options.onReady?.();
      await Promise.race([this.#stopped.promise, this.#worker?.ended]);
      // A later worker on the same mount would be started here, now that `ended` says its predecessor is reaped.
      if (!this.#stopping) {
        this.#lost = true;
        await this.#logUnexpectedEnd();
      }
    }
    const code = await this.#bringDown();
    return failure ?? code;
  }

  async #logUnexpectedEnd(): Promise<void> {
    const end = await this.#worker?.ended;
    this.#log.error(
      { how: end && describeEnd(end), directory: this.#mounted },
      "the worker ended unexpectedly; the folder stays empty and read-only until the next start, or `sidemount unmount`",
    );
  }

  /** Answers with the exit code if it cannot be done; undefined once programs can use the folder, or if stopped. */
  async #bringUp(): Promise<number | undefined> {
    try {
      await this.#start();
      return undefined;
    } catch (error) {
      this.ready.reject(error);
      if (error instanceof StoppedEarly) return undefined;
      this.#log.error({ err: error }, "the mount could not be made");
      return error instanceof WorkerFailed ? error.exitCode : EXIT_FAILED;
    }
  }

  async #start(): Promise<void> {
    const { mountOptions, workerCommand, workerEnvironment } = this.#options;
    checkPrivileges();
    const directory = await this.#unlessStopped(prepareMountPoint(mountOptions.directory, this.#log));
    this.#device = openDevice();
    const worker = new WorkerProcess(workerCommand, workerEnvironment, this.#device);
    this.#worker = worker;
    worker.send({ type: "start", options: { ...mountOptions, directory } }); // the path without links
    await this.#unlessStopped(worker.expect("ready"));
    await this.#mount(directory, this.#device);
    worker.send({ type: "mounted" });
    const serving = await this.#unlessStopped(worker.expect("serving"));
    const { passthrough, reasonNot, protocolMinor } = serving;
    const channel = "device";
    this.#log.info({ directory, channel, passthrough, reasonNot, protocol: `7.${protocolMinor}` }, "mounted");
  }

  async #unlessStopped<Result>(work: Promise<Result>): Promise<Result> {
    const stopped = this.#stopped.promise.then(() => Promise.reject(new StoppedEarly("told to stop")));
    return Promise.race([work, stopped]);
  }

  async #mount(directory: string, device: number): Promise<void> {
    const { mountOptions } = this.#options;
    const { readOnly, allowOther } = mountOptions;
    await mountBoth(device, { directory, source: sourceOf(mountOptions), readOnly, allowOther });
    this.#mounted = directory;
    try {
      noteSupervisor(directory);
    } catch (error) {
      this.#log.warn({ err: error }, "it could not be noted which process serves the folder");
    }
  }

  /** Ends worker and mount, whatever state they are in. */
  async #bringDown(): Promise<number> {
    const worker = this.#worker;
    const code = worker === undefined ? EXIT_DONE : await this.#endWorker(worker);
    if (this.#device !== undefined) fs.closeSync(this.#device); // the last holder: ends a detached connection too
    if (this.#mounted !== undefined) {
      // Programs that go on without the mount must not write where nobody would find it (RULES 31).
      if (!this.#lost) await removeUnderlay(this.#mounted);
      forgetSupervisor(this.#mounted);
    }
    return code;
  }

  async #endWorker(worker: WorkerProcess): Promise<number> {
    const owed = await this.#drain(worker);
    await this.#unmount(owed !== undefined);
    worker.send({ type: "unmounted" });
    await Promise.race([worker.ended, delay(EXIT_MS, undefined, { ref: false })]);
    if (worker.running) {
      this.#log.error({ pid: worker.pid }, "the worker did not end and is killed");
      worker.kill("SIGKILL");
    }
    const { code } = await worker.ended;
    if (owed === undefined) return this.#stopping ? EXIT_OWED : EXIT_FAILED;
    return owed > 0 || code === EXIT_OWED ? EXIT_OWED : EXIT_DONE;
  }

  /** How many uploads are still owed; undefined if the worker ended or got stuck before it could say so. */
  async #drain(worker: WorkerProcess): Promise<number | undefined> {
    if (!this.#stopping) {
      worker.kill("SIGKILL"); // it could not start serving, or is gone already
      await worker.ended;
      return undefined;
    }
    const drained = worker.expect("drained").then(
      ({ owed }) => owed,
      () => undefined,
    );
    const owed = await Promise.race([drained, this.#patienceEnds()]);
    if (owed === undefined && worker.running) {
      this.#log.error({ pid: worker.pid }, "the worker did not drain in time and is killed");
      worker.kill("SIGKILL");
      await worker.ended;
    }
    return owed;
  }

  async #patienceEnds(): Promise<undefined> {
    const { drainTimeoutMs } = this.#options.mountOptions;
    // Before anything was mounted there is little to drain.
    const limitMs = DRAIN_GRACE_MS + (this.#mounted === undefined ? 0 : drainTimeoutMs);
    const hurry = this.#hurried.promise.then(() => delay(HURRY_MS, undefined, { ref: false }));
    await Promise.race([hurry, delay(limitMs, undefined, { ref: false })]);
    return undefined;
  }

  async #unmount(served: boolean): Promise<void> {
    if (this.#mounted === undefined) return;
    if (!served) return detachServed(this.#mounted, { abort: true }); // nobody will answer: nobody may wait
    const busy = await unmountServed(this.#mounted);
    if (busy)
      this.#log.warn({ directory: this.#mounted }, "programs still use the folder; it is taken from them");
  }
}

function checkPrivileges(): void {
  if (process.getuid?.() !== 0) {
    throw new MountRefused(
      "only root can mount with --channel device",
      "Start it as root, or take --channel native.",
    );
  }
}

function openDevice(): number {
  try {
    return fs.openSync("/dev/fuse", "r+");
  } catch (error) {
    const code = codeOf(error);
    throw new MountRefused(
      code === "ENOENT" ? "there is no /dev/fuse here" : `/dev/fuse cannot be opened (${code})`,
      "In a container: --device /dev/fuse. On a machine: modprobe fuse.",
      error,
    );
  }
}
