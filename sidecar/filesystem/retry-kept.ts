// An upload that failed, done once more because a person asks for it (RULES 10): to its name, if the bucket still has
// what it was to replace, or whatever there is if the person says so.

import fs from "node:fs/promises";
import type { Bucket, Expected, ObjectInfo, ObjectProperties } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import { completeFile } from "../copies/complete.ts";
import type { KeptCopies, KeptCopy } from "../copies/kept.ts";
import { sumRange } from "../copies/sum-range.ts";
import { encodeTimes, OPERATION_KEY } from "./metadata.ts";

export interface RetryOutcome {
  readonly outcome: "uploaded" | "was there" | "refused";
  /** The object's generation: that of the upload, or what is there; undefined if nothing is. */
  readonly generation: bigint | undefined;
  /** Why it was refused. */
  readonly reason?: string;
}

export interface Retry {
  readonly bucket: Pick<Bucket, "stat" | "insert" | "read">;
  readonly kept: KeptCopies;
  readonly operationId: string;
  /** Replaces whatever the bucket has under the name. */
  readonly replace: boolean;
}

/** Uploads the bytes and takes them from the list, or says what is in the way. Rejects with what went wrong. */
export async function retryKept(entry: KeptCopy, retry: Retry): Promise<RetryOutcome> {
  const { bucket, kept } = retry;
  if (entry.object === "")
    return { outcome: "refused", generation: undefined, reason: "the file had no name any more" };
  const scratch = `${entry.path}.whole`;
  const path = await completeFile(entry, bucket, scratch);
  try {
    const outcome = await upload(entry, path, retry);
    if (outcome.outcome !== "refused") {
      await kept.drop(entry.id);
      kept.superseded(entry.object);
    }
    return outcome;
  } finally {
    await fs.rm(scratch, { force: true });
  }
}

async function upload(entry: KeptCopy, path: string, retry: Retry): Promise<RetryOutcome> {
  const { bucket, replace, operationId } = retry;
  const { object, intent } = entry;
  const file = await fs.open(path, "r");
  try {
    const { size } = await file.stat();
    const sum = await sumRange(file, 0, size);
    const { value: live } = await bucket.stat(object);
    if (live !== undefined && isThere(live, { size, sum }, intent.operations))
      return { outcome: "was there", generation: live.generation };
    const found: Expected = live?.generation ?? "absent";
    if (!replace && found !== intent.base) return refused(entry, live);
    const source = { kind: "file", descriptor: file.fd, size, crc32c: sum } as const;
    const options = { operationId };
    const made = await bucket.insert(object, source, found, propertiesOf(entry), options);
    return { outcome: "uploaded", generation: made.value.generation };
  } catch (error) {
    if (!isBucketError(error, "precondition-failed")) throw error;
    return refused(entry, (await bucket.stat(object)).value);
  } finally {
    await file.close();
  }
}

/** These very bytes, or what an earlier try made whose answer was lost (RULES 4). */
function isThere(
  live: ObjectInfo,
  { size, sum }: { size: number; sum: number },
  operations: readonly string[],
): boolean {
  const operation = live.metadata[OPERATION_KEY];
  return (
    (live.size === size && live.crc32c === sum) || (operation !== undefined && operations.includes(operation))
  );
}

/** Those noted with a failed upload; of a crashed run those of the version, with the time of the last change. */
function propertiesOf({ state, intent, modifiedMs }: KeptCopy): ObjectProperties {
  const { contentType, metadata = {} } = intent.properties;
  const { [OPERATION_KEY]: _, ...kept } = metadata;
  if (state === "failed") return { contentType, metadata: kept };
  const times = encodeTimes(BigInt(Math.round(modifiedMs * 1000)) * 1000n);
  return { contentType, metadata: { ...kept, ...times } };
}

function refused({ object, intent }: KeptCopy, live: ObjectInfo | undefined): RetryOutcome {
  const there =
    live === undefined
      ? `the bucket has nothing under ${object} any more`
      : `the bucket has generation ${live.generation} of ${object} (${live.size} bytes, ${new Date(live.updatedMs).toISOString()})`;
  return { outcome: "refused", generation: live?.generation, reason: `${there}, and ${basis(intent.base)}` };
}

function basis(base: Expected | undefined): string {
  if (base === undefined) return "what these bytes are based on is not known";
  if (base === "absent") return "these bytes were to be a new object";
  return `these bytes are based on generation ${base}`;
}
