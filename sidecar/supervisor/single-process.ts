// A mount without a second process: this one mounts, serves, drains and unmounts. For a channel whose connection to
// the kernel belongs to the library that made it and cannot be handed to another process.
//
// If this process dies, the mount dies with it: programs get "Transport endpoint is not connected" until the next
// start, or `sidemount unmount`, takes it away. It is left there on purpose. A program that went on in the folder
// below would write where nobody looks; root has an empty one mounted there, others cannot.

import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";

import type { MountOptions } from "../config/mount-options.ts";
import type { Log } from "../telemetry/log.ts";
import { mayMount } from "./channel-choice.ts";
import { checkUserMount, type Unmount, unmountProgram } from "./fusermount.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_OWED } from "./messages.ts";
import { prepareMountPoint } from "./mount-point.ts";
import { isServed, mountUnderlay, refusal, removeUnderlay, sourceOf, unmountServed } from "./mount-stack.ts";
import { mountsAt, OUR_TYPE } from "./mount-table.ts";
import { forgetSupervisor, noteSupervisor } from "./run-file.ts";
import type { SupervisedMount } from "./supervise.ts";
import { POOL_THREADS } from "./worker-process.ts";

/** How often it is looked whether the mount is still there: nobody tells when somebody unmounts it. */
const LOOK_EVERY_MS = 500;
/** What draining may take beyond its own time limit. */
const DRAIN_GRACE_MS = 10_000;

/** A file system, ready to be mounted. */
export interface Assembled<FileSystem> {
  readonly fileSystem: FileSystem & { drain(timeoutMs: number): Promise<number> };
  close(): Promise<void>;
}

/** A channel that mounts by itself. */
export interface MountingChannel {
  readonly started: Promise<void>;
  /** Finishes what the channel has put off. */
  settle(): Promise<void>;
  /** Nothing is served any more, and the process may end. */
  close(): void;
}

export interface ServedHere {
  readonly directory: string;
  readonly source: string;
  readonly subtype: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly directoryMode: number;
  readonly extendedAttributes: boolean;
  /** The device number of the mount, once it is there. */
  readonly device: () => string | undefined;
}

export interface SingleProcessOptions<FileSystem> {
  readonly mountOptions: MountOptions;
  readonly assemble: () => Promise<Assembled<FileSystem>>;
  readonly serve: (fileSystem: FileSystem, mount: ServedHere) => MountingChannel;
  /** Flags of V8 a worker of its own would be started with. */
  readonly runtimeFlags: readonly string[];
  readonly log: Log;
  readonly onReady?: () => void;
}

/** Mounts, and serves until stopped or until somebody else unmounts. */
export function mountHere<FileSystem>(options: SingleProcessOptions<FileSystem>): SupervisedMount {
  const mount = new SingleProcess(options);
  const finished = mount.run();
  return {
    ready: mount.ready.promise,
    finished,
    stop: (signal) => mount.stop(signal),
    upgrade: async () =>
      options.log.error(
        "a mount through libfuse (--channel native) cannot be upgraded; start it again instead",
      ),
  };
}

/** Asked to stop while still starting. */
class StoppedEarly extends Error {}

class SingleProcess<FileSystem> {
  readonly ready = Promise.withResolvers<void>();
  readonly #options: SingleProcessOptions<FileSystem>;
  readonly #log: Log;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #hurried = Promise.withResolvers<void>();
  readonly #isRoot = process.getuid?.() === 0;
  #stopping = false;
  /** Somebody else unmounted it while programs used it. */
  #lost = false;
  #assembled: Assembled<FileSystem> | undefined;
  #channel: MountingChannel | undefined;
  /** Where it is mounted, without links; undefined while nothing is. */
  #mounted: string | undefined;
  /** Found before it is mounted. */
  #unmountBy: Unmount | undefined;

  constructor(options: SingleProcessOptions<FileSystem>) {
    this.#options = options;
    this.#log = options.log;
    this.ready.promise.catch(() => {}); // also told by the exit code; whoever waits for `ready` reports it
  }

  stop(signal: string): void {
    const hurry = this.#stopping;
    this.#log.info({ signal, hurry }, hurry ? "stopping at once" : "stopping");
    this.#stopping = true;
    this.#stopped.resolve();
    if (hurry) this.#hurried.resolve();
  }

  async run(): Promise<number> {
    const failed = await this.#bringUp();
    if (!failed) {
      this.ready.resolve();
      this.#options.onReady?.();
      await Promise.race([this.#stopped.promise, this.#unmountedByOthers()]);
      this.#lost = !this.#stopping;
      if (this.#lost) {
        this.#log.error({ directory: this.#mounted }, "the folder was unmounted by somebody else");
      }
    }
    const code = await this.#bringDown();
    return failed || this.#lost ? EXIT_FAILED : code;
  }

  /** True if it cannot be done. */
  async #bringUp(): Promise<boolean> {
    try {
      await this.#start();
      return false;
    } catch (error) {
      this.ready.reject(error);
      if (error instanceof StoppedEarly) return false;
      this.#log.error({ err: error }, "the mount could not be made");
      return true;
    }
  }

  async #start(): Promise<void> {
    const { mountOptions, assemble, runtimeFlags } = this.#options;
    for (const flag of runtimeFlags) setFlagsFromString(flag);
    await startPool();
    const directory = await this.#unlessStopped(prepareMountPoint(mountOptions.directory, this.#log));
    this.#checkPermission(directory);
    this.#unmountBy = unmountProgram();
    const assembling = assemble().then((assembled) => (this.#assembled = assembled));
    const { fileSystem } = await this.#unlessStopped(assembling);
    const channel = this.#mount(fileSystem, directory);
    await this.#unlessStopped(channel.started);
    this.#note(directory);
    this.#log.info({ directory, channel: "native", passthrough: false }, "mounted");
    this.#log.info(
      "one process does everything with this channel: if it ends, so does the mount, for programs that use it too",
    );
  }

  #checkPermission(directory: string): void {
    if (!this.#isRoot)
      return checkUserMount({ directory, allowOther: this.#options.mountOptions.allowOther });
    if (!mayMount()) throw refusal(directory, Object.assign(new Error(), { code: "EPERM" }));
  }

  #mount(fileSystem: FileSystem, directory: string): MountingChannel {
    const { mountOptions, serve } = this.#options;
    const { readOnly, allowOther, uid, gid, fileMode, directoryMode, extendedAttributes } = mountOptions;
    const source = sourceOf(mountOptions);
    const subtype = OUR_TYPE.replace("fuse.", "");
    if (this.#isRoot) mountUnderlayOrSayWhyNot(directory);
    this.#mounted = directory;
    const rights = { readOnly, allowOther, uid, gid, fileMode, directoryMode, extendedAttributes };
    this.#channel = serve(fileSystem, { directory, source, subtype, ...rights, device: deviceAt(directory) });
    return this.#channel;
  }

  #note(directory: string): void {
    try {
      noteSupervisor(directory, Date.now());
    } catch (error) {
      this.#log.warn({ err: error }, "it could not be noted which process serves the folder");
    }
  }

  async #unlessStopped<Result>(work: Promise<Result>): Promise<Result> {
    const stopped = this.#stopped.promise.then(() => Promise.reject(new StoppedEarly("told to stop")));
    return Promise.race([work, stopped]);
  }

  async #unmountedByOthers(): Promise<void> {
    while (!this.#stopping && this.#mounted !== undefined && isServed(this.#mounted))
      await delay(LOOK_EVERY_MS);
  }

  /** Drains, unmounts and closes, as far as there is anything of it. */
  async #bringDown(): Promise<number> {
    const owed = await this.#drain();
    await this.#unmount();
    this.#channel?.close();
    await this.#assembled?.close();
    if (this.#mounted !== undefined) {
      // Programs that go on without the mount must not write where nobody would find it (RULES 31).
      if (this.#isRoot && !this.#lost) await removeUnderlay(this.#mounted);
      forgetSupervisor(this.#mounted);
    }
    return owed === 0 ? EXIT_DONE : EXIT_OWED;
  }

  /** How many uploads are still owed; undefined if that cannot be said in time. */
  async #drain(): Promise<number | undefined> {
    if (this.#assembled === undefined) return 0;
    const { fileSystem } = this.#assembled;
    const { drainTimeoutMs } = this.#options.mountOptions;
    const hurried = this.#hurried.promise.then(() => fileSystem.drain(0));
    const late = delay(drainTimeoutMs + DRAIN_GRACE_MS, undefined, { ref: false });
    await Promise.race([this.#channel?.settle(), hurried, late]);
    return Promise.race([fileSystem.drain(drainTimeoutMs), hurried, late]);
  }

  async #unmount(): Promise<void> {
    if (this.#mounted === undefined || !isServed(this.#mounted)) return;
    const busy = await unmountServed(this.#mounted, this.#unmountBy);
    if (busy)
      this.#log.warn({ directory: this.#mounted }, "programs still use the folder; it is taken from them");
  }
}

function mountUnderlayOrSayWhyNot(directory: string): void {
  try {
    mountUnderlay(directory);
  } catch (error) {
    throw refusal(directory, error);
  }
}

/** Looked up when it is first asked for: by then it is mounted. */
function deviceAt(directory: string): () => string | undefined {
  let device: string | undefined;
  return () => {
    const top = device === undefined ? mountsAt(directory).at(-1) : undefined;
    if (top !== undefined) device = `0:${top.minor}`; // FUSE has no major number of its own
    return device;
  };
}

/**
 * Starts the threads of libuv's pool, as many as a worker of its own is started with: their number is read from the
 * environment when the first one is needed. Commands that `exec` starts do not inherit it.
 */
async function startPool(): Promise<void> {
  const before = process.env["UV_THREADPOOL_SIZE"];
  process.env["UV_THREADPOOL_SIZE"] ??= String(POOL_THREADS);
  await fs.promises.access("/proc/self");
  if (before === undefined) delete process.env["UV_THREADPOOL_SIZE"];
}
