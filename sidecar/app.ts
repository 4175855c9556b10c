// Assembly: every part made once, from the bottom up, and how a mount is run.

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import os from "node:os";
import { performance } from "node:perf_hooks";
import { credentialsFor, type Credentials } from "./bucket/auth.ts";
import { openBucket } from "./bucket/client.ts";
import { openFeed, type Feed } from "./bucket/notifications/open-feed.ts";
import { deviceOnly } from "./config/device-only.ts";
import type { MountHooks, MountOptions } from "./config/mount-options.ts";
import { controlMount, type Controlled } from "./control/mount-control.ts";
import type { ControlServer } from "./control/server.ts";
import { OwedWork } from "./copies/owed-work.ts";
import { StateFolder } from "./copies/state-folder.ts";
import { CopyStore } from "./copies/store.ts";
import { compareUnfinished } from "./copies/unfinished.ts";
import { Handover } from "./handover/handover.ts";
import { encodeNode } from "./filesystem/handover/node-record.ts";
import type { Restored } from "./filesystem/handover/restore.ts";
import { MountedFileSystem } from "./filesystem/mounted-filesystem.ts";
import type { DeviceHandover } from "./fuse/device/handover.ts";
import { serveNative } from "./fuse/native/channel.ts";
import { Background } from "./lib/background.ts";
import { globPattern } from "./lib/glob.ts";
import { whyNoDevice } from "./supervisor/channel-choice.ts";
import { MountRefused } from "./supervisor/mount-refused.ts";
import { withoutLinks } from "./supervisor/mount-point.ts";
import { ownControlSocket } from "./supervisor/run-file.ts";
import { mountHere } from "./supervisor/single-process.ts";
import { uploadOwed } from "./filesystem/write-back/upload-owed.ts";
import { superviseMount, type SupervisedMount } from "./supervisor/supervise.ts";
import type { Log } from "./telemetry/log.ts";

/** Metadata calls give up earlier than data: somebody waits in `ls`, and there is less to lose. */
const METADATA_DEADLINE_MS = 10_000;

// By itself V8 lets the heap grow to four times what lives in it when the machine has memory to spare: listing
// 10,000 names five times took 310 MiB, of which 30 were in use. With these it is 183 MiB, and stays there.
const HEAP_FLAGS = ["--heap-growing-percent=30", "--max-semi-space-size=4", "--semi-space-growth-factor=1"];
// node:sqlite warns at every start that it is new.
const WORKER_FLAGS = ["--disable-warning=ExperimentalWarning", ...HEAP_FLAGS];

export interface Assembled {
  readonly fileSystem: MountedFileSystem;
  /** What the channel of the app's mount keeps for a later worker. */
  readonly handover: DeviceHandover;
  /** Told to those who ask, once it is mounted. */
  mounted: Mounted;
  /** Sends what is owed and closes everything. */
  close(): Promise<void>;
}

interface Mounted {
  readonly channel: "device" | "native";
  readonly passthrough: boolean | undefined;
}

/** Where an earlier worker has left what it knew, or this one leaves it. */
export interface HandoverFrom {
  readonly path?: string;
  readonly again: boolean;
  /** No later worker can take over from this one. */
  readonly onIrreplaceable?: () => void;
  /** Asks for another worker, of the code that is on disk. */
  readonly askForUpgrade?: () => void;
}

/** Checks bucket and state folder, then builds the filesystem over them. Rejects with the reason if either will not do. */
export async function assemble(
  options: MountOptions,
  log: Log,
  { path, again, onIrreplaceable, askForUpgrade }: HandoverFrom = { again: false },
): Promise<Assembled> {
  const credentials = credentialsFor(options.endpoint);
  const bucket = openBucket({
    credentials,
    bucket: options.bucket,
    endpoint: options.endpoint,
    deadlineMs: options.deadlineMs,
    metadataDeadlineMs: Math.min(METADATA_DEADLINE_MS, options.deadlineMs),
    soleWriter: options.soleWriter,
    log,
  });
  // An earlier worker of this mount has asked, and programs wait.
  const earlier = again ? new Handover(path, encodeNode, { again }) : undefined;
  const checked = earlier === undefined ? await bucket.check() : undefined;
  const { endpoint, bucket: bucketName, prefix } = options;
  const identity = { endpoint, bucket: bucketName, prefix, bucketCreatedMs: checked?.createdMs };
  const state = await StateFolder.open(options.stateDirectory, identity);
  const handover = earlier ?? new Handover(path, encodeNode);
  handover.journal.onLost = (error) => {
    log.error({ err: error }, "handover.db cannot be written: if this process dies, the mount ends with it");
    onIrreplaceable?.();
  };
  const mountId = handover.agreed("mount-id", randomUUID);
  const hierarchical = handover.agreed("hierarchical", () => checked?.hierarchicalNamespace === true);
  const background = new Background((name, error) =>
    log.error({ work: name, err: error }, "background work failed"),
  );
  if (options.writeBack && state.isPassing && !again)
    log.warn(
      { folder: options.stateDirectory },
      "the state folder goes with the container or the machine, and with it what is acknowledged and not uploaded yet",
    );
  const store = new CopyStore(state, { cacheSizeBytes: options.cacheSizeBytes, background, log });
  const { uid, gid } = options;
  const fileSystem = new MountedFileSystem({
    bucket,
    availability: options.offlineReads ? bucket.availability : undefined,
    store,
    owed: new OwedWork(state.database),
    background,
    log,
    prefix,
    hierarchical,
    trust: { freshnessMs: options.freshnessMs, soleWriter: options.soleWriter },
    fileDefaults: { uid, gid, mode: options.fileMode },
    directoryDefaults: { uid, gid, mode: options.directoryMode },
    readOnly: options.readOnly,
    lockNames: options.lockNames.map(globPattern),
    extendedAttributes: options.extendedAttributes,
    writeBack: options.writeBack
      ? { limitBytes: options.cacheSizeBytes, deadlineMs: options.deadlineMs }
      : undefined,
    hostName: os.hostname(),
    mountId,
    journal: handover.journal,
    monotonicMs: () => performance.now(),
    wallNs,
  });
  const restored = again ? handover.database && fileSystem.takeOver(handover.database) : undefined;
  await store.takeOver();
  await store.space.watch();
  if (!again) await uploadOwed({ bucket, owed: store.owed, mountId, readOnly: options.readOnly, log });
  if (!again) await compareUnfinished({ bucket, kept: store.kept, background, log });
  if (!options.readOnly) await fileSystem.resumeOwed();
  const feed = feedOf(options, { mountId, credentials, log });
  feed?.start(fileSystem.hearChanges());
  const assembled: Assembled = {
    fileSystem,
    handover: { ...handover.ofApp(), ...(restored && backingsOf(restored)) },
    mounted: { channel: "native", passthrough: undefined },
    close: async () => {
      try {
        await control?.close();
        await Promise.all([feed?.close(), fileSystem.shutdown()]);
      } finally {
        await store.space.stop();
        handover.close();
        await state.close();
        await bucket.close();
      }
    },
  };
  const { upkeep } = fileSystem;
  const control = await listenForQuestions(
    { options, bucket, store, upkeep, mounted: () => assembled.mounted, upgrade: askForUpgrade },
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

function backingsOf({
  backings,
  closedBackings,
}: Restored): Pick<DeviceHandover, "backings" | "closedBackings"> {
  return { backings, closedBackings };
}

/** What tells of changes made elsewhere, if that is wanted. */
function feedOf(
  options: MountOptions,
  { mountId, credentials, log }: { mountId: string; credentials: Credentials; log: Log },
): Feed | undefined {
  const { bucket, prefix, endpoint, notifications, project, deadlineMs } = options;
  if (notifications === "off") return undefined;
  return openFeed({
    bucket,
    prefix,
    endpoint,
    subscription: notifications,
    mountId,
    project,
    deadlineMs: Math.min(METADATA_DEADLINE_MS, deadlineMs),
    credentials,
    log,
  });
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
  const onReady = (servedHere: boolean) => () =>
    hooks.onReady?.({ servedHere, upgrade: () => mount.upgrade() });
  const mount: SupervisedMount =
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
