// Whether an object was moved by a worker of ours that died before it could say so.

import type { Dated, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { OPERATION_KEY } from "./metadata.ts";

/**
 * What a move of `version` to `destination`, begun by an earlier worker of this mount, has become; undefined if it was not
 * done, or if another mount may have done it: two who claim the same work by renaming must never both believe that they
 * got it (RULES 5). So the object must be one that this mount has written, unless nobody else writes at all.
 */
export async function movedByUs(
  { bucket, trust, mountId, log }: Context,
  version: ObjectInfo,
  destination: string,
): Promise<Dated<ObjectInfo> | undefined> {
  const own = version.metadata[OPERATION_KEY]?.startsWith(`${mountId}:`) === true;
  if (!own && !trust.soleWriter) return undefined;
  if ((await bucket.stat(version.name)).value?.generation === version.generation) return undefined;
  const { value, dateMs } = await bucket.stat(destination);
  if (value === undefined || value.generation <= version.generation) return undefined;
  if (value.crc32c !== version.crc32c || value.size !== version.size) return undefined;
  if (value.metadata[OPERATION_KEY] !== version.metadata[OPERATION_KEY]) return undefined;
  log.info({ object: destination, source: version.name }, "an earlier worker had moved it already");
  return { value, dateMs };
}
