// Copies made by the service itself.

import type { Dated, Expected, Generation, ObjectInfo } from "./bucket.ts";
import { isBucketError } from "./errors.ts";
import { encodeQuery, encodeSegment } from "./names.ts";
import { decodeObject, generationMatch, objectFields, operationKey } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { stat } from "./stat.ts";

export interface Version {
  readonly name: string;
  readonly generation: Generation;
}

/** Copies exactly this version, live or not. */
export async function copy(
  requests: Requests,
  source: Version,
  destination: string,
  expected: Expected,
): Promise<Dated<ObjectInfo>> {
  try {
    return await rewrite(requests, source, { sourceGeneration: source.generation }, destination, expected);
  } catch (error) {
    if (!isBucketError(error, "precondition-failed") || !error.uncertain) throw error;
    const copied = await findCopy(requests, source, destination, expected);
    if (copied === undefined) throw error;
    return copied;
  }
}

/** Copies this version if it is the live one; `precondition-failed` also when it is not. */
export function copyLive(
  requests: Requests,
  source: Version,
  destination: string,
  expected: Expected,
): Promise<Dated<ObjectInfo>> {
  return rewrite(requests, source, { ifSourceGenerationMatch: source.generation }, destination, expected);
}

interface Progress {
  readonly totalBytesRewritten: number;
  readonly rewriteToken: string | undefined;
  readonly object: ObjectInfo | undefined;
}

// Within one location and storage class the service only writes metadata and is done at once; otherwise it copies
// a part per request and hands out a token to go on with.
async function rewrite(
  requests: Requests,
  source: Version,
  pin: Readonly<Record<string, bigint>>,
  destination: string,
  expected: Expected,
): Promise<Dated<ObjectInfo>> {
  const budget = requests.dataBudget();
  const path = `${requests.objectPath(source.name)}/rewriteTo/b/${encodeSegment(requests.bucket)}/o/${encodeSegment(destination)}`;
  const fields = `done,totalBytesRewritten,rewriteToken,resource(${objectFields})`;
  const conditions = { ...pin, ifGenerationMatch: generationMatch(expected), projection: "noAcl", fields };
  for (let rewriteToken: string | undefined; ;) {
    const { value: progress, dateMs } = await requests.ask(
      {
        operation: "copy",
        about: `copy of ${JSON.stringify(source.name)} to ${JSON.stringify(destination)}`,
        method: "POST",
        path: path + encodeQuery({ ...conditions, rewriteToken }),
        body: () => ({ length: 0, content: Buffer.alloc(0) }), // none: the source's metadata is kept
      },
      budget,
      decodeProgress,
    );
    if (progress.object !== undefined) return { value: progress.object, dateMs };
    budget.reached(progress.totalBytesRewritten);
    rewriteToken = progress.rewriteToken;
  }
}

function decodeProgress(json: unknown): Progress {
  const { done, totalBytesRewritten, rewriteToken, resource } = (json ?? {}) as Record<string, unknown>;
  return {
    totalBytesRewritten: Number(totalBytesRewritten ?? 0),
    rewriteToken: typeof rewriteToken === "string" ? rewriteToken : undefined,
    object: done === true || rewriteToken === undefined ? decodeObject(resource) : undefined,
  };
}

/**
 * A copy of `source` that has come to `destination`, after a lost answer. A copy has no operation id of its own, it
 * carries its source's: this one may be someone else's, which makes no difference to who wanted a copy.
 */
export async function findCopy(
  requests: Requests,
  source: Version,
  destination: string,
  expected: Expected,
): Promise<Dated<ObjectInfo> | undefined> {
  const [{ value: original }, { value: copied, dateMs }] = await Promise.all([
    stat(requests, source.name),
    stat(requests, destination),
  ]);
  if (original?.generation !== source.generation || copied === undefined || copied.generation === expected) {
    return undefined;
  }
  const equal =
    copied.size === original.size &&
    copied.crc32c === original.crc32c &&
    copied.metadata[operationKey] === original.metadata[operationKey];
  return equal ? { value: copied, dateMs } : undefined;
}
