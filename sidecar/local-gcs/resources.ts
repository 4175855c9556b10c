// Objects, buckets and folders as the JSON API shows them. 64-bit numbers are strings.

import { base64OfCrc32c } from "./checksums.ts";
import type { StoredFolder } from "./folders.ts";
import type { NotificationConfig } from "./notifications.ts";
import type { StoredObject } from "./objects.ts";

/** The tag the service gives: a protocol buffer of generation and metageneration in base64. */
export function etagOf({
  generation,
  metageneration,
}: {
  generation: number;
  metageneration: number;
}): string {
  const fields = [0x08, ...varint(generation), 0x10, ...varint(metageneration)];
  return Buffer.from(fields).toString("base64");
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** `baseUrl` is this server as the client addresses it, so that the links work for that client. */
export function objectResource(object: StoredObject, baseUrl: string): Record<string, unknown> {
  const path = `storage/v1/b/${object.bucket}/o/${encodeURIComponent(object.name)}`;
  const { storageClass, metadata, ...properties } = object.properties;
  const created = new Date(object.createdMs).toISOString();
  return {
    kind: "storage#object",
    id: `${object.bucket}/${object.name}/${object.generation}`,
    selfLink: `${baseUrl}/${path}`,
    mediaLink: `${baseUrl}/download/${path}?generation=${object.generation}&alt=media`,
    name: object.name,
    bucket: object.bucket,
    generation: String(object.generation),
    metageneration: String(object.metageneration),
    ...properties,
    storageClass: storageClass ?? "STANDARD",
    size: String(object.size),
    md5Hash: object.md5,
    crc32c: base64OfCrc32c(object.crc32c),
    componentCount: object.componentCount,
    etag: etagOf(object),
    timeCreated: created,
    updated: new Date(object.updatedMs).toISOString(),
    timeStorageClassUpdated: created,
    timeFinalized: created,
    metadata,
  };
}

/** A bucket as it is stored: what its owner set, with our own facts beside it. */
export interface StoredBucket {
  readonly name: string;
  readonly metageneration: number;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Who is told of changes; undefined until somebody asked for it. */
  readonly notifications?: readonly NotificationConfig[];
  /** Ids are not used again. */
  readonly lastNotificationId?: number;
}

export function bucketResource(bucket: StoredBucket, baseUrl: string): Record<string, unknown> {
  return {
    kind: "storage#bucket",
    id: bucket.name,
    selfLink: `${baseUrl}/storage/v1/b/${bucket.name}`,
    projectNumber: "0",
    location: "US",
    locationType: "multi-region",
    storageClass: "STANDARD",
    iamConfiguration: { uniformBucketLevelAccess: { enabled: true }, publicAccessPrevention: "inherited" },
    softDeletePolicy: { retentionDurationSeconds: "0" },
    ...bucket.settings,
    name: bucket.name,
    metageneration: String(bucket.metageneration),
    etag: etagOf({ generation: 0, metageneration: bucket.metageneration }),
    timeCreated: new Date(bucket.createdMs).toISOString(),
    updated: new Date(bucket.updatedMs).toISOString(),
  };
}

/** Whether the bucket has folders of its own. It is made so or not, and stays what it is. */
export function isHierarchical({ settings }: StoredBucket): boolean {
  const setting = settings["hierarchicalNamespace"] as { enabled?: unknown } | undefined;
  return setting?.enabled === true;
}

/** What a client learns at mount time. Of a flat bucket the service says nothing about the namespace. */
export function storageLayout(bucket: StoredBucket): Record<string, unknown> {
  return {
    kind: "storage#storageLayout",
    bucket: bucket.name,
    location: bucket.settings["location"] ?? "US",
    locationType: bucket.settings["locationType"] ?? "multi-region",
    hierarchicalNamespace: isHierarchical(bucket) ? { enabled: true } : undefined,
  };
}

/** Times are named otherwise than those of objects. */
export function folderResource(folder: StoredFolder, baseUrl: string): Record<string, unknown> {
  const { bucket, name, metageneration, createdMs, updatedMs } = folder;
  return {
    kind: "storage#folder",
    id: `${bucket}/${name}`,
    selfLink: `${baseUrl}/storage/v1/b/${bucket}/folders/${encodeURIComponent(name)}`,
    name,
    bucket,
    createTime: new Date(createdMs).toISOString(),
    updateTime: new Date(updatedMs).toISOString(),
    metageneration: String(metageneration),
  };
}
