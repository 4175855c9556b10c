// From options to a filesystem that can be served: every part made once, from the bottom up.

import { randomUUID } from "node:crypto";
import os from "node:os";
import { performance } from "node:perf_hooks";
import { openBucket } from "./bucket/client.ts";
import type { MountOptions } from "./config/mount-options.ts";
import { OwedWork } from "./copies/owed-work.ts";
import { StateFolder } from "./copies/state-folder.ts";
import { CopyStore } from "./copies/store.ts";
import { MountedFileSystem } from "./filesystem/mounted-filesystem.ts";
import { Background } from "./lib/background.ts";
import { globPattern } from "./lib/glob.ts";
import type { Log } from "./telemetry/log.ts";

/** Metadata calls give up earlier than data: somebody waits in `ls`, and there is less to lose. */
const METADATA_DEADLINE_MS = 10_000;

export interface Assembled {
  readonly fileSystem: MountedFileSystem;
  /** Uploads what is owed and closes everything. Answers how much could not be uploaded. */
  close(): Promise<void>;
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
  await bucket.check();
  const { endpoint, bucket: bucketName, prefix } = options;
  const state = await StateFolder.open(options.stateDirectory, { endpoint, bucket: bucketName, prefix });
  const background = new Background((name, error) => log.error({ work: name, err: error }, "background work failed"));
  const store = new CopyStore(state, { cacheSizeBytes: options.cacheSizeBytes, background, log });
  await store.takeOver();
  const { uid, gid } = options;
  const fileSystem = new MountedFileSystem({
    bucket,
    store,
    owed: new OwedWork(state.database),
    background,
    log,
    prefix,
    trust: { freshnessMs: options.freshnessMs, soleWriter: options.soleWriter },
    fileDefaults: { uid, gid, mode: options.fileMode },
    directoryDefaults: { uid, gid, mode: options.directoryMode },
    readOnly: options.readOnly,
    lockNames: options.lockNames.map(globPattern),
    hostName: os.hostname(),
    mountId: randomUUID(),
    monotonicMs: () => performance.now(),
    wallNs,
  });
  if (!options.readOnly) await fileSystem.resumeOwed();
  return {
    fileSystem,
    close: async () => {
      await fileSystem.shutdown();
      await state.close();
      await bucket.close();
    },
  };
}

/** Wall clock in nanoseconds. */
function wallNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
