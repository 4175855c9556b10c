// Writing a whole object.
//
// Every insert names the generation it replaces, leaves its operation id in the metadata and announces the CRC32C
// of what it sends. So it can be repeated, its own success can be recognised, and a file that changes while it is
// being sent never becomes an object (RULES 3, 4).

import { randomUUID } from "node:crypto";

import type { Dated, Expected, ObjectInfo, ObjectProperties, UploadOptions, UploadSource } from "./bucket.ts";
import type { Budget } from "./budget.ts";
import { encodeCrc32c } from "./crc32c.ts";
import { asUncertain, BucketError, isBucketError } from "./errors.ts";
import { encodeQuery, encodeSegment } from "./names.ts";
import { decodeObject, encodeProperties, generationMatch, objectFields } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { uploadInSession } from "./resumable.ts";
import { piecesFrom, readWhole, sizeOf } from "./source.ts";
import { statOwn } from "./stat.ts";
import type { Body } from "./transport.ts";
import type { Write } from "./write.ts";

// A session costs a round trip before the first byte, and saves at most this much of sending again after a break.
// Google's advice for single requests; also what one upload may hold in memory.
const largestSingleRequest = 8 * 1024 * 1024;

// Up to this size head, bytes and tail are joined into one write; above, copying costs more than writes do.
const joinedBytes = 256 * 1024;

export async function insert(
  requests: Requests,
  name: string,
  source: UploadSource,
  expected: Expected,
  properties: ObjectProperties,
  options: UploadOptions,
): Promise<Dated<ObjectInfo>> {
  const size = sizeOf(source);
  const write: Write = {
    about: `insert of ${JSON.stringify(name)}`,
    path: `/upload/storage/v1/b/${encodeSegment(requests.bucket)}/o`,
    query: { ifGenerationMatch: generationMatch(expected), fields: objectFields },
    resource: {
      name,
      ...encodeProperties(properties, options.operationId),
      crc32c: encodeCrc32c(source.crc32c),
    },
    contentType: headerSafe(properties.contentType),
  };
  try {
    const written =
      size <= largestSingleRequest && options.session === undefined
        ? await insertInOneRequest(requests, write, source, options)
        : await uploadInSession(requests, write, source, options);
    return verified(written, source, write.about);
  } catch (error) {
    if (!isBucketError(error, "precondition-failed")) throw error;
    const own = await ownWrite(requests, name, error, options);
    if (own === undefined) throw error;
    options.onProgress?.(size);
    return own;
  }
}

// The type that counts is in the resource; beside it, the request has to name one in a header of its own.
function headerSafe(contentType = ""): string {
  return /^[\x20-\x7e]+$/.test(contentType) ? contentType : "application/octet-stream";
}

async function insertInOneRequest(
  requests: Requests,
  write: Write,
  source: UploadSource,
  options: UploadOptions,
): Promise<Dated<ObjectInfo>> {
  const bytes = await readWhole(source);
  const budget = requests.dataBudget();
  const boundary = `sidemount-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${JSON.stringify(write.resource)}\r\n` +
      `--${boundary}\r\ncontent-type: ${write.contentType}\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const inserted = await requests.ask(
    {
      operation: "insert",
      about: write.about,
      method: "POST",
      path: write.path + encodeQuery({ uploadType: "multipart", ...write.query }),
      headers: { "content-type": `multipart/related; boundary=${boundary}` },
      body: () => multipartBody(head, bytes, tail, budget),
      signal: options.signal,
    },
    budget,
    decodeObject,
  );
  options.onProgress?.(bytes.length);
  return inserted;
}

function multipartBody(head: Buffer, bytes: Buffer, tail: Buffer, budget: Budget): Body {
  const length = head.length + bytes.length + tail.length;
  if (bytes.length <= joinedBytes) return { length, content: Buffer.concat([head, bytes, tail], length) };
  return { length, content: multipartPieces(head, bytes, tail, budget) };
}

async function* multipartPieces(
  head: Buffer,
  bytes: Buffer,
  tail: Buffer,
  budget: Budget,
): AsyncGenerator<Buffer> {
  yield head;
  let sent = 0;
  for await (const piece of piecesFrom({ kind: "bytes", bytes, crc32c: 0 }, 0)) {
    budget.reached(sent); // the pieces before this one went out
    yield piece;
    sent += piece.length;
  }
  yield tail;
}

// A 412 may be answered to our own second try, and even to a first one: whoever goes on with an earlier upload
// after a crash uses its operation id again.
async function ownWrite(
  requests: Requests,
  name: string,
  refused: BucketError,
  options: UploadOptions,
): Promise<Dated<ObjectInfo> | undefined> {
  try {
    return await statOwn(requests, name, options.operationId, options.signal);
  } catch (error) {
    throw refused.uncertain && error instanceof BucketError ? asUncertain(error) : error;
  }
}

// The service has compared already; that what it stored is what we announced costs nothing to see.
function verified(written: Dated<ObjectInfo>, source: UploadSource, about: string): Dated<ObjectInfo> {
  const { size, crc32c } = written.value;
  if (size === sizeOf(source) && crc32c === source.crc32c) return written;
  throw new BucketError("checksum", `${about}: the service stored other bytes than were announced`, {
    uncertain: true,
  });
}
