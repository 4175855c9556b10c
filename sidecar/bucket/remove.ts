// Deleting one version of a name.

import type { Generation } from "./bucket.ts";
import { isBucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import type { Requests } from "./requests.ts";

/** `taken`: gone after a try whose answer was lost, by that try or by someone else. */
export type Removal = "removed" | "absent" | "taken";

/** True if it was there, false if nothing is there any more. */
export async function remove(requests: Requests, name: string, generation: Generation): Promise<boolean> {
  return (await removeVersion(requests, name, generation)) !== "absent";
}

/**
 * Guarded by ifGenerationMatch, not addressed by `generation`: in a bucket with versioning the latter would delete
 * the version for good, and a version that is not live any more too.
 */
export async function removeVersion(
  requests: Requests,
  name: string,
  generation: Generation,
): Promise<Removal> {
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
    return "removed";
  } catch (error) {
    if (!isBucketError(error, "not-found")) throw error;
    return error.uncertain ? "taken" : "absent";
  }
}
