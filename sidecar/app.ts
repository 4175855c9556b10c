// Assembly: every part made once, from the bottom up, and the two processes a mount consists of.

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import os from "node:os";
import { performance } from "node:perf_hooks";
import { openBucket } from "./bucket/client.ts";
import { deviceOnly } from "./config/device-only.ts";
import type { MountHooks, MountOptions } from "./config/mount-options.ts";
import { controlMount, type Controlled } from "./control/mount-control.ts";
import type { ControlServer } from "./control/server.ts";
import { OwedWork } from "./copies/owed-work.ts";
import { StateFolder } from "./copies/state-folder.ts";
import { CopyStore } from "./copies/store.ts";
import { compareUnfinished } from "./copies/unfinished.ts";
import { MountedFileSystem } from "./filesystem/mounted-filesystem.ts";
import { serveDevice, type DeviceChannel } from "./fuse/device/channel.ts";
import { serveNative } from "./fuse/native/channel.ts";
import { Background } from "./lib/background.ts";
import { globPattern } from "./lib/glob.ts";
import { whyNoDevice } from "./supervisor/channel-choice.ts";
import { DEVICE_DESCRIPTOR, SERVE_DESCRIPTOR } from "./supervisor/messages.ts";
import { MountRefused } from "./supervisor/mount-refused.ts";
import { detachServed } from "./supervisor/mount-stack.ts";
import { withoutLinks } from "./supervisor/mount-point.ts";
import { ownControlSocket } from "./supervisor/run-file.ts";
import { mountHere } from "./supervisor/single-process.ts";
import { superviseMount } from "./supervisor/supervise.ts";
import { connectToSupervisor, type SupervisorLink } from "./supervisor/worker-link.ts";
import { createLog, type Log } from "./telemetry/log.ts";

/** Metadata calls give up earlier than data: somebody waits in `ls`, and there is less to lose. */
const METADATA_DEADLINE_MS = 10_000;

// By itself V8 lets the heap grow to four times what lives in it when the machine has memory to spare: listing
// 10,000 names five times took 310 MiB, of which 30 were in use. With these it is 183 MiB, and stays there.
const HEAP_FLAGS = ["--heap-growing-percent=30", "--max-semi-space-size=4", "--semi-space-growth-factor=1"];
// node:sqlite warns at every start that it is new.
const WORKER_FLAGS = ["--disable-warning=ExperimentalWarning", ...HEAP_FLAGS];

export interface Assembled {
  readonly fileSystem: MountedFileSystem;
  /** Told to those who ask, once it is mounted. */
  mounted: Mounted;
  /** Sends what is owed and closes everything. */
  close(): Promise<void>;
}

interface Mounted {
  readonly channel: "device" | "native";
  readonly passthrough: boolean | undefined;
}

/** Checks bucket and state folder, then builds the filesystem over them. Rejects with the reason if either will not do. */
export async function assemble(options: MountOptions, log: Log): Promise<Assembled> {
  const bucket = openBucket({
    bucket: options.bucket,
    endpoint: options.endpoint,
    deadlineMs: options.deadlineMs,
    metadataDeadlineMs: Math.min(METADATA_DEADLINE_MS, options.deadlineMs),
    soleWriter: options.soleWriter,
    log,
  });
  const { hierarchicalNamespace, createdMs: bucketCreatedMs } = await bucket.check();
  const { endpoint, bucket: bucketName, prefix } = options;
  const identity = { endpoint, bucket: bucketName, prefix, bucketCreatedMs };
  const state = await StateFolder.open(options.stateDirectory, identity);
  const background = new Background((name, error) =>
    log.error({ work: name, err: error }, "background work failed"),
  );
  const store = new CopyStore(state, { cacheSizeBytes: options.cacheSizeBytes, background, log });
  await store.takeOver();
  await store.space.watch();
  const { uid, gid } = options;
  const fileSystem = new MountedFileSystem({
    bucket,
    store,
    owed: new OwedWork(state.database),
    background,
    log,
    prefix,
    hierarchical: hierarchicalNamespace,
    trust: { freshnessMs: options.freshnessMs, soleWriter: options.soleWriter },
    fileDefaults: { uid, gid, mode: options.fileMode },
    directoryDefaults: { uid, gid, mode: options.directoryMode },
    readOnly: options.readOnly,
    lockNames: options.lockNames.map(globPattern),
    extendedAttributes: options.extendedAttributes,
    hostName: os.hostname(),
    mountId: randomUUID(),
    monotonicMs: () => performance.now(),
    wallNs,
  });
  await compareUnfinished({ bucket, kept: store.kept, background, log });
  if (!options.readOnly) await fileSystem.resumeOwed();
  const assembled: Assembled = {
    fileSystem,
    mounted: { channel: "native", passthrough: undefined },
    close: async () => {
      try {
        await control?.close();
        await fileSystem.shutdown();
      } finally {
        await store.space.stop();
        await state.close();
        await bucket.close();
      }
    },
  };
  const { upkeep } = fileSystem;
  const control = await listenForQuestions(
    { options, bucket, store, upkeep, mounted: () => assembled.mounted },
    log,
  );
  return assembled;
}

/** A mount that cannot be asked is better than none. */
async function listenForQuestions(controlled: Controlled, log: Log): Promise<ControlServer | undefined> {
  try {
    const socketPath = ownControlSocket(withoutLinks(controlled.options.directory));
    return await controlMount(socketPath, controlled, log);
  } catch (error) {
    log.warn({ err: error }, "`sidemount status` and `sidemount pending` cannot ask this mount");
    return undefined;
  }
}

/** Program and arguments of a worker. */
export function workerCommand(): readonly [string, ...string[]] {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  return [process.execPath, ...WORKER_FLAGS, main, "worker"];
}

/** Wall clock in nanoseconds. */
function wallNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** Mounts and serves until told to stop; answers with the exit code. Rejects when the mount cannot be made. */
export async function runMount(options: MountOptions, log: Log, hooks: MountHooks = {}): Promise<number> {
  const onReady = (servedHere: boolean) => () => hooks.onReady?.({ servedHere });
  const mount =
    chooseChannel(options, log) === "device"
      ? superviseMount({
          mountOptions: options,
          workerCommand: workerCommand(),
          workerEnvironment: workerEnvironment(),
          log,
          onReady: onReady(false),
        })
      : mountHere({
          mountOptions: options,
          assemble: () => assemble(options, log),
          serve: (fileSystem, served) => serveNative({ ...served, fileSystem, log }),
          runtimeFlags: HEAP_FLAGS,
          log,
          onReady: onReady(true),
        });
  const stop = (): void => mount.stop("SIGTERM");
  if (hooks.stop?.aborted === true) stop();
  for (const signal of [hooks.stop, hooks.hurry]) signal?.addEventListener("abort", stop);
  try {
    await mount.ready;
    return await mount.finished;
  } catch (error) {
    await mount.finished; // nothing of a failed start stays mounted
    throw error;
  } finally {
    for (const signal of [hooks.stop, hooks.hurry]) signal?.removeEventListener("abort", stop);
  }
}

/** The channel that was asked for, or the device channel where it can be had and the native one elsewhere. */
function chooseChannel(options: MountOptions, log: Log): "device" | "native" {
  if (options.channel !== "auto") return options.channel;
  const reason = whyNoDevice();
  if (reason === undefined) return "device";
  const wanted = deviceOnly(options);
  if (wanted !== undefined) {
    throw new MountRefused(
      `${wanted.option} needs the device channel, which cannot be used here (${reason}); the native one cannot do it: ${wanted.reason}`,
      "Start it as root, or leave that out.",
    );
  }
  log.info({ reason }, "the device channel cannot be used; mounting through libfuse (--channel native)");
  return "native";
}

function workerEnvironment(): Record<string, string> {
  const environment = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(environment);
}

/** Serves a mount made by a supervisor, whose child this process is; ends when the supervisor says so. */
export function runWorker(): Promise<void> {
  return new Worker().ended;
}

class Worker {
  readonly #ended = Promise.withResolvers<void>();
  readonly #link: SupervisorLink;
  #options: MountOptions | undefined;
  #log: Log = createLog("info");
  #assembled: Assembled | undefined;
  /** The app's mount and, if asked for, the serve mount. */
  #channels: DeviceChannel[] = [];

  constructor() {
    const handle = (name: string, work: () => Promise<void>): void => {
      work().catch((error: unknown) => this.#fail(name, error));
    };
    this.#link = connectToSupervisor({
      onStart: (options) => handle("start", () => this.#start(options)),
      onMounted: () => handle("serve", () => this.#serve()),
      onStop: (hurry) => handle("stop", () => this.#stop(hurry ? 0 : (this.#options?.drainTimeoutMs ?? 0))),
      onUnmounted: () => handle("end", () => this.#end()),
      onOrphaned: () => handle("end alone", () => this.#endAlone()),
    });
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async #start(options: MountOptions): Promise<void> {
    this.#options = options;
    this.#log = createLog(options.logLevel, options.logDescriptor ?? 1);
    this.#assembled = await assemble(options, this.#log);
    this.#link.ready();
  }

  async #serve(): Promise<void> {
    const { passthrough, stateDirectory, serveDirectory } = this.#options as MountOptions;
    const { fileSystem } = this.#assembled as Assembled;
    if (serveDirectory !== undefined) {
      const readers = { descriptor: SERVE_DESCRIPTOR, fileSystem: fileSystem.serve(), immutableFiles: true };
      const log = this.#log.child({ mount: "serve" });
      const serving = serveDevice({ ...readers, passthrough: "off", log });
      this.#channels.push(serving);
      void serving.done.then(() => fileSystem.endServing()); // also when somebody else unmounts it
    }
    const channel = serveDevice({
      descriptor: DEVICE_DESCRIPTOR,
      fileSystem,
      passthrough,
      backingFolder: stateDirectory,
      log: this.#log,
    });
    this.#channels.unshift(channel);
    await Promise.all(this.#channels.map(({ started }) => started));
    const serving = await channel.started;
    (this.#assembled as Assembled).mounted = { channel: "device", passthrough: serving.passthrough };
    this.#link.serving(serving);
  }

  /** Refuses new writers, lets the others finish, sends what is owed. */
  async #stop(timeoutMs: number): Promise<void> {
    const owed = (await this.#assembled?.fileSystem.drain(timeoutMs)) ?? 0;
    await Promise.all(this.#channels.map((channel) => channel.stopNotifications()));
    this.#link.drained(owed);
  }

  async #end(): Promise<void> {
    await this.#assembled?.close();
    this.#ended.resolve();
  }

  /** The supervisor is gone and cannot unmount any more. The read-only folder below stays (RULES 31). */
  async #endAlone(): Promise<void> {
    if (this.#assembled !== undefined) {
      this.#log.error("the supervisor is gone; finishing uploads and unmounting");
      await this.#stop(this.#options?.drainTimeoutMs ?? 0);
      const { serveDirectory, directory } = this.#options as MountOptions;
      for (const each of [serveDirectory, directory]) {
        if (each === undefined) continue;
        await detachServed(each).catch((error: unknown) =>
          this.#log.error({ directory: each, err: error }, "not unmounted"),
        );
      }
    }
    await this.#end();
  }

  #fail(name: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#log.debug({ work: name, err: error }, "the worker cannot go on");
    this.#link.failed(message, 1);
    this.#end().catch((reason: unknown) => {
      this.#log.error({ err: reason }, "the worker could not close everything");
      this.#ended.resolve();
    });
  }
}
