// Changing attributes of one version.

import type { Dated, Generation, ObjectInfo } from "./bucket.ts";
import { isBucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import { decodeObject, objectFields } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { stat } from "./stat.ts";

export interface Changes {
  readonly metadata?: Readonly<Record<string, string | null>>;
  readonly contentType?: string;
}

export async function patch(
  requests: Requests,
  name: string,
  version: { generation: Generation; metageneration: bigint },
  changes: Changes,
): Promise<Dated<ObjectInfo>> {
  const body = Buffer.from(JSON.stringify(changes));
  const conditions = { ifGenerationMatch: version.generation, ifMetagenerationMatch: version.metageneration };
  try {
    return await requests.ask(
      {
        operation: "patch",
        about: `change of attributes of ${JSON.stringify(name)}`,
        method: "PATCH",
        path:
          requests.objectPath(name) +
          encodeQuery({ ...conditions, projection: "noAcl", fields: objectFields }),
        headers: { "content-type": "application/json" },
        body: () => ({ length: body.length, content: body }),
      },
      requests.metadataBudget(),
      decodeObject,
    );
  } catch (error) {
    if (!isBucketError(error, "precondition-failed") || !error.uncertain) throw error;
    const { value: live, dateMs } = await stat(requests, name);
    if (live?.generation === version.generation && holds(live, changes)) return { value: live, dateMs };
    throw error;
  }
}

/** Whether `changes` have been made to `object`. */
function holds(object: ObjectInfo, changes: Changes): boolean {
  if (changes.contentType !== undefined && object.contentType !== changes.contentType) return false;
  return Object.entries(changes.metadata ?? {}).every(
    ([key, value]) => (object.metadata[key] ?? null) === value,
  );
}
