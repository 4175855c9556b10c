// What a client may say about an object besides its bytes: reading it from a resource, changing it, its limits.

import { ApiError, invalid, required } from "./api-error.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const textProperties = [
  "contentType",
  "contentEncoding",
  "contentDisposition",
  "contentLanguage",
  "cacheControl",
  "customTime",
] as const;
const holds = ["temporaryHold", "eventBasedHold"] as const;

export type ObjectProperties = { readonly [name in (typeof textProperties)[number]]?: string } & {
  readonly [name in (typeof holds)[number]]?: boolean;
} & { readonly storageClass?: string; readonly metadata?: Readonly<Record<string, string>> };

// https://cloud.google.com/storage/quotas#objects
const maxNameBytes = 1024;
const maxMetadataBytes = 8 * 1024;

/** Throws 400 for a name the service would not store. */
export function checkObjectName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) throw required("name");
  if (bytes > maxNameBytes) {
    throw invalid(`The object name must be at most ${maxNameBytes} bytes when UTF-8 encoded.`);
  }
  const isReserved = name === "." || name === ".." || name.startsWith(".well-known/acme-challenge/");
  if (/[\r\n]/.test(name) || isReserved || !name.isWellFormed())
    throw invalid(`Disallowed object name: ${name}`);
}

/** The properties of a new object; members we do not keep are ignored, as are those that are null. */
export function propertiesOf(resource: JsonObject): ObjectProperties {
  return changedProperties({}, resource);
}

/** PATCH: a member that is absent stays, null removes it; the same holds inside `metadata`. */
export function changedProperties(old: ObjectProperties, changes: JsonObject): ObjectProperties {
  const changed: Record<string, unknown> = { ...old };
  for (const name of textProperties) replace(changed, name, changes[name], "string");
  for (const name of holds) replace(changed, name, changes[name], "boolean");
  replace(changed, "storageClass", changes["storageClass"], "string");
  if ("metadata" in changes) changed["metadata"] = mergedMetadata(old.metadata, changes["metadata"]);
  return Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined));
}

/** What only grows or needs a rewrite: refused in PATCH and PUT (the service's behaviour, not re-checked live). */
export function checkChange(old: ObjectProperties, changed: ObjectProperties): void {
  if (changed.storageClass !== old.storageClass && changed.storageClass !== undefined) {
    throw invalid("The storage class of an object can only be changed by rewriting it.");
  }
  if (old.customTime === undefined) return;
  if (changed.customTime === undefined || Date.parse(changed.customTime) < Date.parse(old.customTime)) {
    throw invalid("Custom time cannot be removed or set to an earlier datetime.");
  }
}

/** A held object can be neither replaced nor removed. */
export function checkHolds(properties: ObjectProperties, bucket: string, name: string): void {
  if (properties.temporaryHold === true || properties.eventBasedHold === true) {
    const message = `Object '${bucket}/${name}' is under active hold and cannot be deleted or overwritten.`;
    throw new ApiError(403, "objectUnderActiveHold", message);
  }
}

function replace(
  into: Record<string, unknown>,
  name: string,
  value: unknown,
  type: "string" | "boolean",
): void {
  if (value === undefined) return;
  if (value !== null && typeof value !== type) throw invalid(`Invalid value for ${name}.`);
  into[name] = value === null || value === "" ? undefined : value;
  if (name === "customTime" && typeof value === "string" && Number.isNaN(Date.parse(value))) {
    throw invalid(`Invalid value for customTime: ${value}`);
  }
}

function mergedMetadata(old: ObjectProperties["metadata"], changes: unknown): ObjectProperties["metadata"] {
  if (changes === null || changes === undefined) return undefined;
  if (typeof changes !== "object" || Array.isArray(changes)) throw invalid("Invalid value for metadata.");
  const merged = new Map(Object.entries(old ?? {}));
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) merged.delete(key);
    else merged.set(key, metadataText(key, value));
  }
  checkMetadataSize(merged);
  return merged.size === 0 ? undefined : Object.fromEntries(merged);
}

function metadataText(key: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw invalid(`Invalid value for metadata key ${key}.`);
}

function checkMetadataSize(metadata: ReadonlyMap<string, string>): void {
  let bytes = 0;
  for (const [key, value] of metadata) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  if (bytes > maxMetadataBytes) {
    throw invalid(`The total size of custom metadata is ${bytes} bytes; the limit is ${maxMetadataBytes}.`);
  }
}
