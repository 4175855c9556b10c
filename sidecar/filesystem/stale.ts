// A version of a file that the bucket no longer has.

import { isBucketError } from "../bucket/errors.ts";
import { FileSystemError } from "./errors.ts";

/** A version that is gone means that the name has a newer one, or none. */
export async function orStale<T>(fetching: T | Promise<T>): Promise<T> {
  try {
    return await fetching;
  } catch (error) {
    if (isBucketError(error, "not-found")) throw new FileSystemError("ESTALE", "the version is gone", error);
    throw error;
  }
}
