// What a message of a bucket notification says: https://cloud.google.com/storage/docs/pubsub-notifications#format
//
// Messages may come twice, late, in any order, or never. Nothing in one is more than a hint.

import type { Generation } from "../bucket.ts";

/** Somebody changed an object, maybe ourselves. */
export interface ObjectChange {
  /** Name of the object. */
  readonly object: string;
  /** `removed`: the name has no version any more, or another one (`replacedBy`). */
  readonly kind: "written" | "removed" | "attributes";
  /** The version it happened to. */
  readonly generation: Generation;
  readonly replacedBy: Generation | undefined;
  /** When, by the bucket's clock, in milliseconds since the epoch. */
  readonly atMs: number;
}

const kinds = new Map<unknown, ObjectChange["kind"]>([
  ["OBJECT_FINALIZE", "written"],
  ["OBJECT_METADATA_UPDATE", "attributes"],
  ["OBJECT_DELETE", "removed"],
  ["OBJECT_ARCHIVE", "removed"], // where versions are kept: the live one is none any more
]);

/** The change a message tells of; undefined for what is no message of this bucket, or none we understand. */
export function decodeChange(bucket: string, attributes: unknown): ObjectChange | undefined {
  const { bucketId, objectId, eventType, objectGeneration, eventTime, overwrittenByGeneration } =
    (attributes ?? {}) as Partial<Record<string, unknown>>;
  const kind = kinds.get(eventType);
  const generation = generationOf(objectGeneration);
  if (bucketId !== bucket || kind === undefined || generation === undefined) return undefined;
  if (typeof objectId !== "string" || objectId === "") return undefined;
  const atMs = Date.parse(String(eventTime));
  return {
    object: objectId,
    kind,
    generation,
    replacedBy: generationOf(overwrittenByGeneration),
    atMs: Number.isNaN(atMs) ? Number.POSITIVE_INFINITY : atMs, // rather asked once too often
  };
}

function generationOf(value: unknown): Generation | undefined {
  return typeof value === "string" && /^\d{1,19}$/.test(value) ? BigInt(value) : undefined;
}
