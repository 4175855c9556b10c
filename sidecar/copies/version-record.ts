// An object version as copies.db keeps it: JSON with its 64-bit numbers as strings.

import type { ObjectInfo } from "../bucket/bucket.ts";

export function encodeVersion(version: ObjectInfo): string {
  return JSON.stringify({
    ...version,
    generation: String(version.generation),
    metageneration: String(version.metageneration),
  });
}

export function decodeVersion(text: string): ObjectInfo {
  const record = JSON.parse(text) as Omit<ObjectInfo, "generation" | "metageneration"> & {
    generation: string;
    metageneration: string;
  };
  return { ...record, generation: BigInt(record.generation), metageneration: BigInt(record.metageneration) };
}
