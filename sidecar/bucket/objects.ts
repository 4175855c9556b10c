// Object resources: from the service's JSON to our words, and our properties to its JSON.

import type { Expected, Generation, ObjectInfo, ObjectProperties } from "./bucket.ts";
import { decodeCrc32c } from "./crc32c.ts";
import { BucketError } from "./errors.ts";

/** The metadata key under which every insert and compose leaves its operation id (RULES 4). */
export const operationKey = "sidemount-op";

/** The part of an object resource that ObjectInfo is made of; anything else need not be sent to us. */
export const objectFields =
  "name,generation,metageneration,size,crc32c,timeCreated,updated,contentType,contentEncoding,storageClass,metadata";

// One for the many that have none.
const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

// int64 fields are JSON strings.
interface ObjectResource {
  name: string;
  generation: string;
  metageneration: string;
  size: string;
  crc32c: string;
  timeCreated: string;
  updated: string;
  contentType?: string;
  contentEncoding?: string;
  storageClass?: string;
  metadata?: Record<string, string>;
}

/** The object that `json` describes; throws `unavailable` if it does not describe one. */
export function decodeObject(json: unknown): ObjectInfo {
  const resource = json as Partial<ObjectResource> | null | undefined;
  const crc32c = typeof resource?.crc32c === "string" ? decodeCrc32c(resource.crc32c) : undefined;
  if (typeof resource?.name !== "string" || crc32c === undefined || !isCount(resource.generation)) {
    throw notUnderstood();
  }
  if (!isCount(resource.metageneration) || !isCount(resource.size)) throw notUnderstood();
  const createdMs = Date.parse(resource.timeCreated ?? "");
  const updatedMs = Date.parse(resource.updated ?? "");
  if (Number.isNaN(createdMs) || Number.isNaN(updatedMs)) throw notUnderstood();
  return {
    name: resource.name,
    generation: BigInt(resource.generation),
    metageneration: BigInt(resource.metageneration),
    size: Number(resource.size),
    crc32c,
    createdMs,
    updatedMs,
    contentType: resource.contentType,
    contentEncoding: resource.contentEncoding,
    storageClass: resource.storageClass,
    metadata: resource.metadata ?? NO_METADATA,
  };
}

/** The resource to write: what the caller wants to be known of the object, and who wrote it. */
export function encodeProperties(properties: ObjectProperties, operationId: string): Record<string, unknown> {
  return {
    ...(properties.contentType === undefined ? {} : { contentType: properties.contentType }),
    metadata: { ...properties.metadata, [operationKey]: operationId },
  };
}

/** The value of ifGenerationMatch: 0 means that nothing may be there. */
export function generationMatch(expected: Expected): Generation {
  return expected === "absent" ? 0n : expected;
}

function isCount(text: unknown): text is string {
  return typeof text === "string" && /^\d+$/.test(text);
}

// A service that answers 200 with something else is not well (a proxy's page, a body cut short): ask again.
function notUnderstood(): BucketError {
  return new BucketError("unavailable", "the answer does not describe an object", { uncertain: true });
}
