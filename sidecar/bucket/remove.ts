// Deleting one version of a name.

import type { Generation } from "./bucket.ts";
import { isBucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import type { Requests } from "./requests.ts";

/**
 * Guarded by ifGenerationMatch, not addressed by `generation`: in a bucket with versioning the latter would delete
 * the version for good, and a version that is not live any more too.
 */
export async function remove(requests: Requests, name: string, generation: Generation): Promise<boolean> {
  try {
    await requests.ask(
      {
        operation: "remove",
        about: `removal of ${JSON.stringify(name)}`,
        method: "DELETE",
        path: requests.objectPath(name) + encodeQuery({ ifGenerationMatch: generation }),
      },
      requests.metadataBudget(),
      () => undefined,
    );
    return true;
  } catch (error) {
    if (!isBucketError(error, "not-found")) throw error;
    // Gone after a try whose answer was lost: that try has done it.
    return error.uncertain;
  }
}
