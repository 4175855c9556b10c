// Where the bytes of a file go whose name somebody else's version has: beside it, under a name that nobody has yet (RULES 9).

import { setTimeout as delay } from "node:timers/promises";
import type { ObjectInfo, ObjectProperties, UploadSource } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";

/** Two mounts of one host may meet the same conflict in the same millisecond. */
const ATTEMPTS = 10;
const PAUSE_MS = 20;

/** The object made: `NAME.conflict-HOST-TIME`. */
export async function insertBeside(
  { bucket, hostName, nextOperationId }: Pick<Context, "bucket" | "hostName" | "nextOperationId">,
  object: string,
  source: UploadSource,
  properties: ObjectProperties,
): Promise<ObjectInfo> {
  for (let attempt = 1; ; attempt += 1) {
    const time = new Date().toISOString().replace(/[:.]/g, "-");
    const name = `${object}.conflict-${hostName}-${time}`;
    try {
      const options = { operationId: nextOperationId() };
      return (await bucket.insert(name, source, "absent", properties, options)).value;
    } catch (error) {
      if (!isBucketError(error, "precondition-failed") || attempt >= ATTEMPTS) throw error;
      await delay(1 + Math.random() * PAUSE_MS);
    }
  }
}
