// The list of kept bytes where nothing is mounted: the state folder itself, opened for as long as somebody works on it.

import { openBucket } from "../bucket/client.ts";
import { StateFolder } from "../copies/state-folder.ts";
import { KeptCopies } from "../copies/kept.ts";
import { OwedCopies } from "../copies/owed-copies.ts";
import { OwedWork } from "../copies/owed-work.ts";
import { keepUnfinished } from "../copies/unfinished.ts";
import { retryKept } from "../filesystem/retry-kept.ts";
import { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import { randomUUID } from "node:crypto";
import type { Asking, ControlClient } from "./client.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { ControlError } from "./protocol.ts";

/** As long as a mount gives its requests. */
const DEADLINE_MS = 25_000;
const METADATA_DEADLINE_MS = 10_000;

/**
 * Opens the state folder, which nobody else may be using meanwhile, and answers about what is kept in it. The bucket is
 * the one the folder belongs to.
 */
export async function controlStateFolder(directory: string, log: Log): Promise<ControlClient> {
  const state = await StateFolder.open(directory, undefined);
  const background = new Background((name, error) =>
    log.error({ work: name, err: error }, "background work failed"),
  );
  const { endpoint = "", bucket: name = "", prefix = "" } = state.identity;
  const limits = { deadlineMs: DEADLINE_MS, metadataDeadlineMs: METADATA_DEADLINE_MS };
  const bucket = openBucket({ bucket: name, endpoint, ...limits, log });
  const close = async (): Promise<void> => {
    await background.idle();
    await state.close();
    await bucket.close();
  };
  try {
    await keepUnfinished(state, Date.now(), () => false);
  } catch (error) {
    await close();
    throw error;
  }
  const kept = new KeptCopies(state, { shareBytes: Infinity, background, log });
  const run = randomUUID();
  let operations = 0;
  const answers = new KeptAnswers({
    kept,
    bucket,
    prefix,
    retry: (entry, replace) =>
      retryKept(entry, { bucket, kept, replace, operationId: `${run}:${(operations += 1)}` }),
  });
  const ends: (() => Promise<unknown>)[] = [];
  const ask: Asking = async (question, parameters = {}) => {
    if (question === "owed")
      return {
        uploads: await new OwedCopies(state, log).count(),
        ...(await new OwedWork(state.database).counts()),
      };
    if (!["pending", "retry", "prepare", "discard"].includes(question))
      throw new ControlError(`a state folder cannot be asked for "${question}"`);
    // As over a socket: 64-bit numbers are text, and what is not there is left out.
    const answer = await answers.answer(question, parameters, { atEnd: (work) => void ends.push(work) });
    return JSON.parse(JSON.stringify(answer ?? {}));
  };
  return {
    ask,
    close: async () => {
      for (const end of ends) await end();
      await close();
    },
  };
}
