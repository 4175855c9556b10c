// The supervisor: mounts, owns the device, starts the worker, passes on that it is to stop, unmounts last.
//
// It never touches data. What can fail or hang is in the worker; while this process holds the device, the mount
// survives the worker's death.

import { setTimeout as delay } from "node:timers/promises";

import type { MountOptions } from "../config/mount-options.ts";
import type { Log } from "../telemetry/log.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_OWED } from "./messages.ts";
import { MountRefused } from "./mount-refused.ts";
import { sourceOf } from "./mount-stack.ts";
import { HandoverPlace } from "./handover-place.ts";
import { NameNotifications } from "./name-notifications.ts";
import { OwnedMount } from "./owned-mount.ts";
import { Succession } from "./succession.ts";
import { describeEnd, WorkerFailed, WorkerProcess } from "./worker-process.ts";

// What the worker gets beyond its own time limit before it counts as stuck.
const DRAIN_GRACE_MS = 10_000;
/** A worker that is told to hurry has this long to report. */
const HURRY_MS = 5_000;
/** How long notifications that are still in the kernel are waited for when the mount is gone. */
const NOTIFICATIONS_MS = 2_000;
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
  /** Replaces the worker by the code that is on disk now. */
  upgrade(): Promise<void>;
}

/** Mounts, and keeps the mount until stopped or until the worker ends. */
export function superviseMount(options: SuperviseOptions): SupervisedMount {
  const supervision = new Supervision(options);
  const finished = supervision.run();
  return {
    ready: supervision.ready.promise,
    finished,
    stop: (signal) => supervision.stop(signal),
    upgrade: () => supervision.upgrade(),
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
  #workers: Succession | undefined;
  #handover: HandoverPlace | undefined;
  /** The current worker may be followed by another: the kernel repeats what it left unanswered. */
  #replaceable = false;
  /** The app's mount and, if asked for, the serve mount. */
  readonly #mounts: OwnedMount[] = [];
  #notifications: NameNotifications | undefined;

  constructor(options: SuperviseOptions) {
    this.#options = options;
    this.#log = options.log;
    this.ready.promise.catch(() => {}); // also told by the exit code; whoever waits for `ready` reports it
  }

  /** Replaces the worker by the code that is on disk now. Programs notice a pause at most. */
  async upgrade(): Promise<void> {
    if (this.#stopping || this.#workers === undefined) return;
    if (!this.#isReplaceable(this.#workers))
      return this.#log.error(
        "the worker of this mount cannot be replaced: the kernel is too old, or handover.db could not be written",
      );
    await this.#workers.replace();
  }

  stop(signal: string): void {
    const hurry = this.#stopping;
    this.#log.info({ signal, hurry }, hurry ? "stopping at once" : "stopping");
    this.#stopping = true;
    this.#workers?.current.send({ type: "stop", hurry });
    this.#stopped.resolve();
    if (hurry) this.#hurried.resolve();
  }

  async run(): Promise<number> {
    const failure = await this.#bringUp();
    if (failure === undefined) {
      this.ready.resolve();
      this.#options.onReady?.();
      await this.#keepServed();
    }
    const code = await this.#bringDown();
    return failure ?? code;
  }

  #isReplaceable({ current }: Succession): boolean {
    return this.#replaceable && !current.irreplaceable;
  }

  /** Resolves when it is to end, or there is nobody to serve it. */
  async #keepServed(): Promise<void> {
    const workers = this.#workers;
    while (workers !== undefined && !this.#stopping) {
      await Promise.race([this.#stopped.promise, workers.current.ended]);
      if (this.#stopping) return;
      if (this.#isReplaceable(workers) && (await workers.next(() => !this.#stopping))) continue;
      if (this.#stopping) return;
      this.#lost = true;
      return this.#logUnexpectedEnd(workers.current);
    }
  }

  async #logUnexpectedEnd(worker: WorkerProcess): Promise<void> {
    this.#log.error(
      { how: describeEnd(await worker.ended), directory: this.#mounts[0]?.directory },
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
    await this.#unlessStopped(this.#prepareMounts());
    const [{ directory }, serve] = this.#mounts as [OwnedMount, OwnedMount | undefined];
    const devices = this.#mounts.map(({ device }) => device);
    const notifications = new NameNotifications(devices, this.#log);
    this.#notifications = notifications;
    const spawn = (): WorkerProcess => {
      const worker = new WorkerProcess(workerCommand, workerEnvironment, devices);
      worker.onUpgrade = () => void this.upgrade();
      worker.onNotify = (mount, bytes, done) => notifications.write(mount, bytes, done);
      return worker;
    };
    const serveDirectory = serve?.directory;
    const real = { directory, ...(serveDirectory === undefined ? {} : { serveDirectory }) }; // paths without links
    this.#handover = new HandoverPlace(mountOptions.stateDirectory);
    const options = { ...mountOptions, ...real };
    const start = { type: "start", options, handover: this.#handover.path, again: false } as const;
    const worker = spawn();
    const onServing = ({ pid }: WorkerProcess): void => this.#mounts.forEach((mount) => mount.note(pid));
    this.#workers = new Succession({ spawn, start, log: this.#log, onServing }, worker);
    worker.send(start);
    await this.#unlessStopped(worker.expect("ready"));
    for (const mount of this.#mounts) await mount.mount();
    worker.send({ type: "mounted" });
    notifications.prepare();
    const serving = await this.#unlessStopped(worker.expect("serving"));
    this.#replaceable = serving.resends;
    this.#workers.serving();
    onServing(worker);
    const { passthrough, reasonNot, protocolMinor } = serving;
    const found = { channel: "device", passthrough, reasonNot, protocol: `7.${protocolMinor}` };
    this.#log.info({ directory, serveDirectory, ...found }, "mounted");
  }

  async #unlessStopped<Result>(work: Promise<Result>): Promise<Result> {
    const stopped = this.#stopped.promise.then(() => Promise.reject(new StoppedEarly("told to stop")));
    return Promise.race([work, stopped]);
  }

  async #prepareMounts(): Promise<void> {
    const { mountOptions } = this.#options;
    const { readOnly, allowOther, directory, serveDirectory } = mountOptions;
    const settings = { directory, source: sourceOf(mountOptions), readOnly, allowOther };
    this.#mounts.push(await OwnedMount.prepare(settings, this.#log));
    if (serveDirectory === undefined) return;
    const serving = { ...settings, directory: serveDirectory, readOnly: true };
    this.#mounts.push(await OwnedMount.prepare(serving, this.#log));
    const [one = "", other = ""] = this.#mounts.map((mount) => `${mount.directory}/`);
    if (one.startsWith(other) || other.startsWith(one)) {
      throw new MountRefused(
        `the folder to serve leads to ${other.slice(0, -1)}, which lies within ${one.slice(0, -1)} or around it`,
        "Choose a folder apart from the other with --serve.",
      );
    }
  }

  /** Ends worker and mount, whatever state they are in. */
  async #bringDown(): Promise<number> {
    this.#workers?.end();
    const worker = this.#workers?.current;
    const code = worker === undefined ? EXIT_DONE : await this.#endWorker(worker);
    // Programs that go on without the mount must not write where nobody would find it (RULES 31).
    for (const mount of this.#mounts) await mount.dispose({ keepUnderlay: this.#lost });
    await this.#notifications?.end(NOTIFICATIONS_MS);
    this.#handover?.remove();
    return code;
  }

  async #endWorker(worker: WorkerProcess): Promise<number> {
    const owed = await this.#drain(worker);
    // The readers' folder first: it shows what the other has put into the bucket.
    for (const mount of this.#mounts.toReversed()) await this.#unmount(mount, owed !== undefined);
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

  /** One that cannot be taken away must not keep the other where it is. */
  async #unmount(mount: OwnedMount, served: boolean): Promise<void> {
    try {
      await mount.unmount(served);
    } catch (error) {
      this.#log.error({ directory: mount.directory, err: error }, "the folder could not be unmounted");
    }
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
    const limitMs = DRAIN_GRACE_MS + (this.#mounts.some(({ mounted }) => mounted) ? drainTimeoutMs : 0);
    const hurry = this.#hurried.promise.then(() => delay(HURRY_MS, undefined, { ref: false }));
    await Promise.race([hurry, delay(limitMs, undefined, { ref: false })]);
    return undefined;
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
