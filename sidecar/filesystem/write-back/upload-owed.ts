// What an earlier run had acknowledged and not uploaded: in the bucket before anything is mounted, so that nobody ever
// sees what it was to replace (RULES 11).

import { hostname } from "node:os";
import type { Bucket, Expected, ObjectInfo, ObjectProperties } from "../../bucket/bucket.ts";
import { isBucketError } from "../../bucket/errors.ts";
import type { KeptCopy } from "../../copies/kept.ts";
import type { OwedCopies } from "../../copies/owed-copies.ts";
import { takeAside, type Snapshot } from "../../copies/snapshot.ts";
import type { Log } from "../../telemetry/log.ts";
import { insertBeside } from "../conflict-object.ts";
import { messageOf } from "../give-up.ts";
import { OPERATION_KEY } from "../metadata.ts";

/** How many files are uploaded at a time. */
const AT_A_TIME = 8;
/** How often it is said how it goes. */
const PROGRESS_MS = 5000;
/** Somebody else replaces the object each time: after so many tries it is trouble. */
const ATTEMPTS = 8;

/** The bucket does not take what is owed to it. Nothing was mounted, and nothing is lost. */
export class StillOwedError extends Error {
  override readonly name = "StillOwedError";
}

export interface Uploading {
  readonly bucket: Bucket;
  readonly owed: OwedCopies;
  readonly mountId: string;
  readonly readOnly: boolean;
  readonly log: Log;
}

/** Resolves when nothing is owed any more. Throws StillOwedError. */
export async function uploadOwed(uploading: Uploading): Promise<void> {
  const { owed, readOnly, log } = uploading;
  const entries = await owed.list();
  const files = entries.length;
  if (files === 0) return;
  if (readOnly)
    return log.warn(
      { files },
      "acknowledged files of an earlier run are not in the bucket; a mount for reading only does not upload them",
    );
  const bytes = entries.reduce((sum, { size }) => sum + size, 0);
  log.info({ files, bytes }, "uploading what an earlier run had acknowledged");
  let left = files;
  const saying = setInterval(
    () => log.info({ files: left }, "still uploading what an earlier run had acknowledged"),
    PROGRESS_MS,
  );
  const waiting = entries.values();
  const work = async (): Promise<void> => {
    for (const entry of waiting) {
      await new OwedUpload(entry, uploading).run();
      left -= 1;
    }
  };
  try {
    const outcomes = await Promise.allSettled(Array.from({ length: AT_A_TIME }, work));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed === undefined) return;
    throw new StillOwedError(
      `the bucket does not take ${left} file${left === 1 ? "" : "s"} that an earlier run had acknowledged (${messageOf(failed.reason)})`,
      { cause: failed.reason },
    );
  } finally {
    clearInterval(saying);
  }
}

class OwedUpload {
  readonly #entry: KeptCopy;
  readonly #uploading: Uploading;
  readonly #tries = new Set<string>();

  constructor(entry: KeptCopy, uploading: Uploading) {
    this.#entry = entry;
    this.#uploading = uploading;
    for (const id of entry.intent.operations) this.#tries.add(id);
  }

  async run(): Promise<void> {
    const { owed, log } = this.#uploading;
    const { id, object } = this.#entry;
    const snapshot = await takeAside(id, await owed.openAside(id));
    try {
      const refusal = await this.#upload(snapshot);
      if (refusal === undefined) await owed.drop(id);
      else {
        await owed.keep(id, refusal);
        log.error(
          { object, copy: id, reason: refusal },
          "acknowledged bytes of an earlier run cannot be uploaded; they are kept, see `sidemount pending`",
        );
      }
    } finally {
      await snapshot.dispose();
    }
  }

  /** Answers why it cannot be, ever. */
  async #upload(snapshot: Snapshot): Promise<string | undefined> {
    const { bucket, log } = this.#uploading;
    const { object, intent, replacing } = this.#entry;
    let expected: Expected = intent.base ?? "absent";
    for (let attempt = 1; ; attempt += 1) {
      const { value: live } = await bucket.stat(object);
      if (live !== undefined && this.#hasArrived(live, snapshot)) return undefined;
      const found: Expected = live?.generation ?? "absent";
      if (live !== undefined && found !== expected && !this.#isOurs(live)) {
        if (replacing === "exclusive") return `${object} was created elsewhere meanwhile`;
        if (replacing === "edited") return this.#besides(snapshot, live);
      }
      if (found !== expected && (live === undefined || !this.#isOurs(live)))
        log.warn(
          { object, expected: String(expected), found: String(found) },
          "a whole file replaces another writer's version",
        );
      expected = found;
      try {
        const made = await this.#insert(object, snapshot, expected);
        log.info(
          { object, generation: String(made.generation), bytes: made.size },
          "upload of an earlier run done",
        );
        return undefined;
      } catch (error) {
        if (!isBucketError(error, "precondition-failed") || attempt >= ATTEMPTS) throw error;
      }
    }
  }

  async #besides({ source }: Snapshot, live: ObjectInfo): Promise<undefined> {
    const { bucket, mountId, log } = this.#uploading;
    const { id, object, intent } = this.#entry;
    const context = { bucket, hostName: hostname(), nextOperationId: () => `${mountId}:owed-${id}-beside` };
    const made = await insertBeside(context, object, source, withoutTry(intent.properties));
    const fields = { object, expected: String(intent.base), found: String(live.generation) };
    log.error({ ...fields, conflict: made.name }, "an edited file was replaced elsewhere; both are kept");
    return undefined;
  }

  /** The try is recorded before it is made. */
  async #insert(object: string, { source }: Snapshot, expected: Expected): Promise<ObjectInfo> {
    const { bucket, owed, mountId } = this.#uploading;
    const { id, intent } = this.#entry;
    const operationId = `${mountId}:owed-${id}`;
    this.#tries.add(operationId);
    await owed.noteOperations(id, [...this.#tries]);
    const made = await bucket.insert(object, source, expected, withoutTry(intent.properties), {
      operationId,
    });
    return made.value;
  }

  /** These very bytes; what has them already needs them no second time. */
  #hasArrived(live: ObjectInfo, { size, crc32c }: Snapshot): boolean {
    return live.size === size && live.crc32c === crc32c;
  }

  /** An earlier state of the file, whose upload arrived. */
  #isOurs(live: ObjectInfo): boolean {
    const operation = live.metadata[OPERATION_KEY];
    return operation !== undefined && this.#tries.has(operation);
  }
}

function withoutTry({ contentType, metadata = {} }: ObjectProperties): ObjectProperties {
  const { [OPERATION_KEY]: _, ...kept } = metadata;
  return { contentType, metadata: kept };
}
