// Removing whatever a name stands for in the bucket, as unlink does on any disk.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";

/** Somebody who replaces an object as fast as we try to delete it wins after this many tries. */
const REMOVE_ATTEMPTS = 8;

export type ObjectVersion = Pick<ObjectInfo, "name" | "generation">;

/** Deletes the object of this name: the version we know, or whatever has replaced it meanwhile. */
export async function removeObject({ bucket, log }: Context, known: ObjectVersion): Promise<void> {
  let version: ObjectVersion | undefined = known;
  for (let attempt = 1; version !== undefined; attempt += 1) {
    try {
      await bucket.remove(version.name, version.generation);
      return;
    } catch (error) {
      if (!isBucketError(error, "precondition-failed") || attempt >= REMOVE_ATTEMPTS) throw error;
      const { name, generation }: ObjectVersion = version;
      version = (await bucket.stat(name)).value;
      log.warn(
        { object: name, expected: String(generation), found: String(version?.generation ?? "absent") },
        "unlink removes another writer's version",
      );
    }
  }
}
