// What a running mount answers to those who look after it.

import type { MeasuredBucket } from "../bucket/client.ts";
import type { MountOptions } from "../config/mount-options.ts";
import type { CopyStore } from "../copies/store.ts";
import type { Upkeep } from "../filesystem/upkeep.ts";
import type { Log } from "../telemetry/log.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { ControlError } from "./protocol.ts";
import type { OwedAnswer, StatusAnswer } from "./requests.ts";
import { ControlServer, type Answering } from "./server.ts";

export interface Controlled {
  readonly options: MountOptions;
  readonly bucket: MeasuredBucket;
  readonly store: CopyStore;
  readonly upkeep: Upkeep;
  /** What is only known once it is mounted. */
  readonly mounted: () => {
    readonly channel: "device" | "native";
    readonly passthrough: boolean | undefined;
  };
  /** Has another process of the code now on disk take the place of this one; undefined where none can. */
  readonly upgrade: (() => void) | undefined;
}

/** Listens for questions about this mount. */
export function controlMount(socketPath: string, controlled: Controlled, log: Log): Promise<ControlServer> {
  return ControlServer.listen(socketPath, answersOf(controlled), log);
}

function answersOf(controlled: Controlled): Answering {
  const { options, bucket, store, upkeep } = controlled;
  const startedMs = Date.now();
  const keptAnswers = new KeptAnswers({
    kept: store.kept,
    bucket,
    prefix: options.prefix,
    retry: (entry, replace) => upkeep.retry(entry, replace),
  });
  return async (ask, parameters, session) => {
    if (ask === "status") return statusOf(controlled, startedMs);
    if (ask === "owed") return owedBy(upkeep);
    if (ask === "upgrade") return upgrade(controlled);
    const answer = await keptAnswers.answer(ask, parameters, session);
    if (answer !== undefined || ask === "discard") return answer;
    throw new ControlError(`a mount cannot be asked for "${ask}"`, "Use the same version for the command.");
  };
}

function upgrade({ upgrade: begin }: Controlled): object {
  if (begin === undefined)
    throw new ControlError(
      "this mount is served by one process (--channel native), which cannot be replaced",
      "Stop it and start it again.",
    );
  begin();
  return {};
}

async function owedBy(upkeep: Upkeep): Promise<OwedAnswer> {
  const { uploads, patches, removals, renames, exchanges } = await upkeep.activity();
  return { uploads, patches, removals, renames, exchanges };
}

async function statusOf(
  { options, bucket, store, upkeep, mounted }: Controlled,
  startedMs: number,
): Promise<StatusAnswer> {
  const { bucket: name, endpoint, prefix, directory, serveDirectory, stateDirectory, readOnly } = options;
  const { openFiles, ...owed } = await upkeep.activity();
  return {
    bucket: name,
    endpoint,
    prefix,
    directory,
    serveDirectory,
    stateDirectory,
    ...mounted(),
    readOnly,
    pid: process.pid,
    startedMs,
    openFiles,
    owed,
    kept: await store.kept.counts(),
    cache: store.cache,
    disk: await store.space.look(),
    away: bucket.availability.away,
    offlineReads: options.offlineReads,
    lastError: bucket.measure.lastTrouble,
  };
}
