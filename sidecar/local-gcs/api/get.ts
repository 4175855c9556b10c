// objects.get: the resource, or with alt=media the bytes with the headers that describe them.

import { ApiError, conditionNotMet, notModified } from "../api-error.ts";
import { jsonAnswer, type Answer, type Call } from "../call.ts";
import { base64OfCrc32c } from "../checksums.ts";
import { rangeOf } from "../content-range.ts";
import type { StoredObject } from "../objects.ts";
import { checkPreconditions, integerParameter, preconditionsOf } from "../preconditions.ts";
import { etagOf, objectResource } from "../resources.ts";
import type { Store } from "../store.ts";

/** Whether the answer is an object's bytes rather than its resource. */
export function isMediaRequest(call: Call): boolean {
  return call.method === "storage.objects.get" && (call.isDownload || call.query.get("alt") === "media");
}

export function getObject(store: Store, call: Call): Answer {
  const object = store.get(call.bucket, call.object, integerParameter(call.query, "generation"));
  checkPreconditions(object, preconditionsOf(call.query));
  checkEtag(call, etagOf(object));
  if (isMediaRequest(call)) return mediaAnswer(store, call, object);
  return jsonAnswer(objectResource(object, call.baseUrl), { etag: etagOf(object) });
}

function checkEtag(call: Call, etag: string): void {
  const { "if-match": match, "if-none-match": noneMatch } = call.headers;
  if (match !== undefined && !namesEtag(match, etag)) throw conditionNotMet();
  if (noneMatch !== undefined && namesEtag(noneMatch, etag)) throw notModified();
}

function namesEtag(header: string, etag: string): boolean {
  return header
    .split(",")
    .some((text) => ["*", etag].includes(text.trim().replace(/^(?:W\/)?"(.*)"$/, "$1")));
}

function mediaAnswer(store: Store, call: Call, object: StoredObject): Answer {
  const gunzip = isDecompressed(call, object);
  const range = gunzip ? "whole" : rangeOf(call.headers.range, object.size);
  if (range === "unsatisfiable") {
    const message = "The requested range cannot be satisfied.";
    throw new ApiError(416, "requestedRangeNotSatisfiable", message, "Range");
  }
  const { start, end } = range === "whole" ? { start: 0, end: object.size } : range;
  const headers = mediaHeaders(object);
  if (gunzip) headers["warning"] = "214 UploadServer gunzipped";
  else headers["content-length"] = String(end - start);
  if (!gunzip && object.properties.contentEncoding !== undefined) {
    headers["content-encoding"] = object.properties.contentEncoding;
  }
  if (range !== "whole") headers["content-range"] = `bytes ${start}-${end - 1}/${object.size}`;
  const body = { kind: "file", descriptor: store.files.openNow(object.file), start, end, gunzip } as const;
  return { status: range === "whole" ? 200 : 206, headers, body };
}

/** The service decompresses for clients that do not say they can: https://cloud.google.com/storage/docs/transcoding */
function isDecompressed(call: Call, { properties }: StoredObject): boolean {
  if (properties.contentEncoding !== "gzip") return false;
  const accepted = String(call.headers["accept-encoding"] ?? "");
  return !/\bgzip\b/i.test(accepted) && !/\bno-transform\b/i.test(properties.cacheControl ?? "");
}

function mediaHeaders(object: StoredObject): Record<string, string> {
  const { properties, md5 } = object;
  const headers: Record<string, string | undefined> = {
    "accept-ranges": "bytes",
    "content-type": properties.contentType ?? "application/octet-stream",
    "content-disposition": properties.contentDisposition,
    "content-language": properties.contentLanguage,
    "cache-control": properties.cacheControl ?? "no-cache, no-store, max-age=0, must-revalidate",
    etag: etagOf(object),
    "last-modified": new Date(object.updatedMs).toUTCString(),
    "x-goog-generation": String(object.generation),
    "x-goog-metageneration": String(object.metageneration),
    "x-goog-hash": `crc32c=${base64OfCrc32c(object.crc32c)}${md5 === undefined ? "" : `,md5=${md5}`}`,
    "x-goog-stored-content-length": String(object.size),
    "x-goog-stored-content-encoding": properties.contentEncoding ?? "identity",
    "x-goog-storage-class": properties.storageClass ?? "STANDARD",
  };
  const sent = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(sent);
}
