// objects.insert in one request: plain media, or a multipart body of metadata and media.

import { ApiError, invalid } from "../api-error.ts";
import { jsonAnswer, parseJson, textMember, type Answer, type Call } from "../call.ts";
import { parseHashHeader, verifyChecksums, type AnnouncedChecksums } from "../checksums.ts";
import type { IncomingFile } from "../incoming-file.ts";
import { boundaryOf, readRelated } from "../multipart.ts";
import type { StoredObject } from "../objects.ts";
import { preconditionsOf } from "../preconditions.ts";
import { checkObjectName, propertiesOf, type JsonObject } from "../properties.ts";
import { objectResource } from "../resources.ts";
import type { Store } from "../store.ts";

/** What an upload says about the object apart from its bytes. */
interface Described {
  readonly name: string;
  readonly resource: JsonObject;
  readonly announced: AnnouncedChecksums;
}

export async function insertMedia(store: Store, call: Call): Promise<Answer> {
  const resource = { contentType: call.headers["content-type"] };
  return jsonAnswer(await receiveObject(store, call, describe(call, resource), call.body));
}

export async function insertMultipart(store: Store, call: Call): Promise<Answer> {
  const parts = await readRelated(call.body, boundaryOf(call.headers["content-type"]));
  const metadata = parseJson(parts.metadata);
  const resource = { ...metadata, contentType: metadata["contentType"] ?? parts.mediaType };
  return jsonAnswer(await receiveObject(store, call, describe(call, resource), parts.media));
}

/** An insert outside /upload carries no media, which the service does not accept. */
export function refuseInsert(): never {
  const message =
    "Upload requests must include an uploadType URL parameter and a URL path beginning with /upload/";
  throw new ApiError(400, "wrongUrlForUpload", message);
}

/** Joins what the URL, the headers and the resource say; throws 400 for what the service would not store. */
export function describe(call: Call, resource: JsonObject): Described {
  const name = textMember(resource, "name") ?? call.query.get("name") ?? "";
  checkObjectName(name);
  call.nameKnown(name);
  const contentEncoding = call.query.get("contentEncoding") ?? undefined;
  return {
    name,
    resource: contentEncoding === undefined ? resource : { contentEncoding, ...resource },
    announced: { crc32c: textMember(resource, "crc32c"), md5: textMember(resource, "md5Hash") },
  };
}

async function receiveObject(
  store: Store,
  call: Call,
  { name, resource, announced }: Described,
  media: AsyncIterable<Buffer>,
): Promise<Record<string, unknown>> {
  const properties = propertiesOf(resource);
  const preconditions = preconditionsOf(call.query);
  store.buckets.get(call.bucket);
  const object = await receiveFile(store, media, async (file) => {
    verifyChecksums(file.checksums, announced, parseHashHeader(hashHeader(call)));
    await file.sync();
    await call.arrived();
    const made = { bucket: call.bucket, name, properties, componentCount: undefined, ...contentOf(file) };
    return store.commit((transaction) => store.replace(transaction, made, preconditions));
  });
  return objectResource(object, call.baseUrl);
}

/** Receives `media` into a new data file for `use`; if anything fails nothing of it is left. */
async function receiveFile(
  store: Store,
  media: AsyncIterable<Buffer>,
  use: (file: IncomingFile) => Promise<StoredObject>,
): Promise<StoredObject> {
  const file = await store.files.create();
  try {
    for await (const chunk of media) await file.append(chunk);
    return await use(file);
  } catch (error) {
    await store.files.remove(file.id);
    throw error;
  } finally {
    await file.close();
  }
}

/** What a filled data file tells of the object that it becomes. */
export function contentOf(file: IncomingFile): { file: string; size: number; crc32c: number; md5: string } {
  return { file: file.id, size: file.size, ...file.checksums };
}

export function hashHeader(call: Call): string | undefined {
  const header = call.headers["x-goog-hash"];
  return Array.isArray(header) ? header.join(",") : header;
}

/** X-Upload-Content-Length and the like: a byte count in a header. */
export function lengthHeader(call: Call, name: string): number | undefined {
  const text = call.headers[name];
  if (text === undefined) return undefined;
  if (typeof text !== "string" || !/^\d+$/.test(text)) throw invalid(`Invalid value for ${name}.`);
  return Number(text);
}
