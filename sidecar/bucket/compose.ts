// Concatenating objects inside the bucket.

import type { Dated, Expected, Generation, ObjectInfo, ObjectProperties } from "./bucket.ts";
import { isBucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import { decodeObject, encodeProperties, generationMatch, objectFields } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { statOwn } from "./stat.ts";

export async function compose(
  requests: Requests,
  destination: string,
  sources: readonly { name: string; generation: Generation }[],
  expected: Expected,
  properties: ObjectProperties,
  options: { operationId: string },
): Promise<Dated<ObjectInfo>> {
  const body = Buffer.from(
    JSON.stringify({
      kind: "storage#composeRequest",
      // Pinned twice: `generation` chooses the version, the precondition refuses one that is not live any more.
      sourceObjects: sources.map(({ name, generation }) => ({
        name,
        generation: String(generation),
        objectPreconditions: { ifGenerationMatch: String(generation) },
      })),
      destination: encodeProperties(properties, options.operationId),
    }),
  );
  const query = { ifGenerationMatch: generationMatch(expected), fields: objectFields };
  try {
    return await requests.ask(
      {
        operation: "compose",
        about: `composition of ${JSON.stringify(destination)}`,
        method: "POST",
        path: `${requests.objectPath(destination)}/compose${encodeQuery(query)}`,
        headers: { "content-type": "application/json" },
        body: () => ({ length: body.length, content: body }),
      },
      requests.metadataBudget(),
      decodeObject,
    );
  } catch (error) {
    // "Not found" too: the destination may be one of the sources, and its old version is gone once we have replaced it.
    if (!isBucketError(error, "precondition-failed", "not-found")) throw error;
    const own = await statOwn(requests, destination, options.operationId, undefined);
    if (own !== undefined) return own;
    throw error;
  }
}
