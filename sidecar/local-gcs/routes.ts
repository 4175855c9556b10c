// Which call a request is, read from its raw path: an object's name is one encoded segment, `%2F` included.

import { ApiError } from "./api-error.ts";
import { pubSubRoute, type PubSubMethod } from "./pubsub/routes.ts";

export type MethodName =
  | "storage.buckets.insert"
  | "storage.buckets.list"
  | "storage.buckets.get"
  | "storage.buckets.patch"
  | "storage.buckets.update"
  | "storage.buckets.delete"
  | "storage.buckets.getStorageLayout"
  | "storage.buckets.testIamPermissions"
  | "storage.objects.list"
  | "storage.objects.insert"
  | "storage.objects.get"
  | "storage.objects.patch"
  | "storage.objects.update"
  | "storage.objects.delete"
  | "storage.objects.compose"
  | "storage.objects.copy"
  | "storage.objects.rewrite"
  | "storage.objects.move"
  | "storage.folders.insert"
  | "storage.folders.list"
  | "storage.folders.get"
  | "storage.folders.delete"
  | "storage.folders.rename"
  | "storage.buckets.operations.list"
  | "storage.buckets.operations.get"
  | "storage.notifications.insert"
  | "storage.notifications.list"
  | "storage.notifications.get"
  | "storage.notifications.delete"
  | PubSubMethod;

export interface Route {
  readonly method: MethodName;
  /** Decoded path parameters; empty where the path has none. `object` may be a folder, an operation, or a topic. */
  readonly bucket: string;
  readonly object: string;
  readonly destinationBucket: string;
  readonly destinationObject: string;
  /** Under /upload: the request carries or continues media. */
  readonly isUpload: boolean;
  /** Under /download or in XML style: the answer is media whatever `alt` says. */
  readonly isDownload: boolean;
}

const table: readonly (readonly [verb: string, pattern: string, method: MethodName])[] = [
  ["POST", "b", "storage.buckets.insert"],
  ["GET", "b", "storage.buckets.list"],
  ["GET", "b/:bucket", "storage.buckets.get"],
  ["PATCH", "b/:bucket", "storage.buckets.patch"],
  ["PUT", "b/:bucket", "storage.buckets.update"],
  ["DELETE", "b/:bucket", "storage.buckets.delete"],
  ["GET", "b/:bucket/storageLayout", "storage.buckets.getStorageLayout"],
  ["GET", "b/:bucket/iam/testPermissions", "storage.buckets.testIamPermissions"],
  ["GET", "b/:bucket/o", "storage.objects.list"],
  ["POST", "b/:bucket/o", "storage.objects.insert"],
  ["PUT", "b/:bucket/o", "storage.objects.insert"],
  ["DELETE", "b/:bucket/o", "storage.objects.insert"],
  ["GET", "b/:bucket/o/:object", "storage.objects.get"],
  ["PATCH", "b/:bucket/o/:object", "storage.objects.patch"],
  ["PUT", "b/:bucket/o/:object", "storage.objects.update"],
  ["DELETE", "b/:bucket/o/:object", "storage.objects.delete"],
  ["POST", "b/:bucket/o/:object/compose", "storage.objects.compose"],
  ["POST", "b/:bucket/o/:object/copyTo/b/:destinationBucket/o/:destinationObject", "storage.objects.copy"],
  [
    "POST",
    "b/:bucket/o/:object/rewriteTo/b/:destinationBucket/o/:destinationObject",
    "storage.objects.rewrite",
  ],
  ["POST", "b/:bucket/o/:object/moveTo/o/:destinationObject", "storage.objects.move"],
  ["POST", "b/:bucket/folders", "storage.folders.insert"],
  ["GET", "b/:bucket/folders", "storage.folders.list"],
  ["GET", "b/:bucket/folders/:object", "storage.folders.get"],
  ["DELETE", "b/:bucket/folders/:object", "storage.folders.delete"],
  ["POST", "b/:bucket/folders/:object/renameTo/folders/:destinationObject", "storage.folders.rename"],
  ["GET", "b/:bucket/operations", "storage.buckets.operations.list"],
  ["GET", "b/:bucket/operations/:object", "storage.buckets.operations.get"],
  ["POST", "b/:bucket/notificationConfigs", "storage.notifications.insert"],
  ["GET", "b/:bucket/notificationConfigs", "storage.notifications.list"],
  ["GET", "b/:bucket/notificationConfigs/:object", "storage.notifications.get"],
  ["DELETE", "b/:bucket/notificationConfigs/:object", "storage.notifications.delete"],
];

const patterns = table.map(([verb, pattern, method]) => ({ verb, segments: pattern.split("/"), method }));
const uploadVerbs = new Set(["POST", "PUT", "DELETE"]);

/** The call behind `verb` and a raw path without its query, or undefined if there is none. */
export function routeOf(verb: string, rawPath: string): Route | undefined {
  const asked = verb === "HEAD" ? "GET" : verb;
  const pubSub = pubSubRoute(asked, rawPath);
  if (pubSub !== undefined) return { ...emptyRoute, ...pubSub, isUpload: false, isDownload: false };
  const [, kind, rest] =
    /^\/(?:(upload\/|download\/|resumable\/upload\/)?storage\/v1\/)?(b(?:\/.*)?)$/.exec(rawPath) ?? [];
  if (rest === undefined) return asked === "GET" ? xmlRoute(rawPath) : undefined;
  const isUpload = kind?.includes("upload") ?? false;
  const route = matchPatterns(asked, rest.split("/"));
  if (route === undefined) return undefined;
  // Starting, continuing and cancelling an upload are one call of the API; outside /upload only POST exists.
  const isInsert = route.method === "storage.objects.insert";
  if (isInsert ? !uploadVerbs.has(asked) || (!isUpload && asked !== "POST") : isUpload) return undefined;
  return { ...emptyRoute, ...route, isUpload, isDownload: kind === "download/" };
}

const emptyRoute = { bucket: "", object: "", destinationBucket: "", destinationObject: "" };

function matchPatterns(verb: string, segments: readonly string[]): { method: MethodName } | undefined {
  for (const pattern of patterns) {
    if (pattern.verb !== verb || pattern.segments.length !== segments.length) continue;
    const parameters: Record<string, string> = {};
    const matches = pattern.segments.every((expected, index) => {
      const actual = segments[index] ?? "";
      if (!expected.startsWith(":")) return actual === expected;
      parameters[expected.slice(1)] = actual;
      return actual !== "";
    });
    if (matches) return { ...decodeAll(parameters), method: pattern.method };
  }
  return undefined;
}

/** `GET /bucket/object`, where slashes in the object's name stand for themselves. */
function xmlRoute(rawPath: string): Route | undefined {
  const [, bucket, object] = /^\/([a-z0-9][\w.-]{2,221})\/(.+)$/.exec(rawPath) ?? [];
  if (bucket === undefined || object === undefined || bucket === "storage") return undefined;
  const names = { bucket, object: decode(object) };
  return { ...emptyRoute, ...names, method: "storage.objects.get", isUpload: false, isDownload: true };
}

function decodeAll(parameters: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, decode(value)]));
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ApiError(400, "invalid", `Malformed percent-encoding in the path: ${segment}`);
  }
}
