// A version of a file that the bucket no longer has.

import { isBucketError } from "../bucket/errors.ts";
import { isSameVersion } from "../bucket/same-version.ts";
import { FileSystemError } from "./errors.ts";
import { movesEnded, type FileNode } from "./nodes.ts";

/** A version that is gone means that the name has a newer one, or none. */
export async function orStale<T>(fetching: T | Promise<T>): Promise<T> {
  try {
    return await fetching;
  } catch (error) {
    if (isBucketError(error, "not-found")) throw new FileSystemError("ESTALE", "the version is gone", error);
    throw error;
  }
}

/** As `orStale`, for an open file: its version may only have another name, which a rename of ours under way will tell. */
export async function orRenamed<T>(node: FileNode, fetching: () => T | Promise<T>): Promise<T> {
  const { copy } = node;
  for (;;) {
    const asked = copy?.version;
    try {
      return await fetching();
    } catch (error) {
      if (!isBucketError(error, "not-found")) throw error;
      await movesEnded(node);
      await node.changes.run(() => Promise.resolve());
      if (isSameVersion(copy?.version, asked))
        throw new FileSystemError("ESTALE", "the open version is gone from the bucket", error);
    }
  }
}
