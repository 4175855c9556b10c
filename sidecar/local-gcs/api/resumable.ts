// objects.insert in several requests: a session that survives lost connections and restarts of the server.
//
// Bytes are acknowledged (308) only when they and their count are on disk. What a cut connection delivered is kept,
// in whole steps of 256 KiB. Requests on one session run one after another; a newer one cuts off an older one that
// is still receiving, since its client has given it up. Preconditions are judged when the object is made.

import { ApiError, invalid } from "../api-error.ts";
import { drain, emptyAnswer, jsonAnswer, readJson, type Answer, type Call } from "../call.ts";
import { Digest, parseHashHeader, verifyChecksums } from "../checksums.ts";
import { uploadPartOf, type UploadPart } from "../content-range.ts";
import type { IncomingFile } from "../incoming-file.ts";
import type { StoredObject } from "../objects.ts";
import { preconditionsOf } from "../preconditions.ts";
import { propertiesOf } from "../properties.ts";
import { objectResource } from "../resources.ts";
import type { UploadSession } from "../sessions.ts";
import { sessionLifeMs, type Store } from "../store.ts";
import { ActiveUploads, type ActiveUpload } from "./active-uploads.ts";
import { contentOf, describe, hashHeader, lengthHeader } from "./insert.ts";

// https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
const stepBytes = 256 * 1024;

export class ResumableUploads {
  readonly #store: Store;
  readonly #active = new ActiveUploads();

  constructor(store: Store) {
    this.#store = store;
  }

  /** POST …?uploadType=resumable: answers with the session's address. */
  async start(call: Call): Promise<Answer> {
    const metadata = await readJson(call.body);
    const contentType = metadata["contentType"] ?? call.headers["x-upload-content-type"];
    const { name, resource, announced } = describe(call, { ...metadata, contentType });
    this.#store.buckets.get(call.bucket);
    const session: UploadSession = {
      id: this.#store.files.newId(),
      bucket: call.bucket,
      name,
      file: this.#store.files.newId(),
      persisted: 0,
      state: "open",
      request: {
        properties: propertiesOf(resource),
        preconditions: preconditionsOf(call.query),
        announced,
        size: lengthHeader(call, "x-upload-content-length"),
      },
      result: undefined,
      startedMs: Date.now(),
    };
    await this.#store.commit(() => this.#store.sessions.put(session));
    const parameters = new URLSearchParams({ uploadType: "resumable", name, upload_id: session.id });
    const location = `${call.baseUrl}/upload/storage/v1/b/${call.bucket}/o?${parameters.toString()}`;
    return emptyAnswer(200, { location, "x-guploader-uploadid": session.id });
  }

  /** PUT (or POST, as Go clients do) on a session: bytes, a question how far it is, or both ends at once. */
  continue(call: Call): Promise<Answer> {
    return this.#active.run(call.query.get("upload_id") ?? "", call, (active) => this.#serve(call, active));
  }

  /** DELETE on a session. */
  cancel(call: Call): Promise<Answer> {
    return this.#active.run(call.query.get("upload_id") ?? "", call, async () => {
      const session = this.#find(call);
      if (session.state === "open") await this.#end(session, "cancelled");
      return emptyAnswer(499);
    });
  }

  /** The name the object of a session will have, for the request log and fault rules. */
  nameOf(id: string): string | undefined {
    return this.#store.sessions.find(id)?.name;
  }

  #find(call: Call): UploadSession {
    const session = this.#store.sessions.find(call.query.get("upload_id") ?? "");
    if (session === undefined || session.bucket !== call.bucket) {
      throw new ApiError(404, "notFound", "The upload session does not exist.");
    }
    const isOld = session.state === "open" && session.startedMs < Date.now() - sessionLifeMs;
    if (isOld || session.state === "failed") {
      throw new ApiError(410, "gone", "The upload session is gone.");
    }
    return session;
  }

  async #serve(call: Call, active: ActiveUpload): Promise<Answer> {
    const session = this.#find(call);
    if (session.state === "cancelled") return emptyAnswer(499);
    if (session.result !== undefined) return this.#finished(call, session.result);
    const part = uploadPartOf(call.headers["content-range"]);
    checkPart(session, part);
    if (part.kind === "query" && part.total !== session.persisted) return incomplete(call, session.persisted);
    const digest = active.digestAt(session.persisted) ?? (await this.#digestOf(session));
    const file = await this.#store.files.resume(session.file, digest);
    try {
      return await this.#receive(call, session, part, file);
    } finally {
      await file.close();
      active.digest = file.digest;
    }
  }

  #digestOf({ file, persisted }: UploadSession): Promise<Digest> | Digest {
    return persisted === 0 ? new Digest() : this.#store.files.digestOf(file, persisted);
  }

  async #receive(call: Call, session: UploadSession, part: UploadPart, file: IncomingFile): Promise<Answer> {
    try {
      await appendPart(call.body, session.persisted, part, file);
    } catch (error) {
      const isWrong = error instanceof ApiError && error.status === 400;
      if (!isWrong) await this.#persist(session, file, file.size - (file.size % stepBytes));
      throw error;
    }
    if (!isFinal(part, file.size)) return incomplete(call, await this.#persist(session, file, file.size));
    const object = await this.#finish(call, session, file);
    return this.#finished(call, object);
  }

  /** Makes `persisted` bytes ones the client may rely on; never fewer than before. */
  async #persist(session: UploadSession, file: IncomingFile, bytes: number): Promise<number> {
    const persisted = Math.max(session.persisted, bytes);
    if (persisted > session.persisted) {
      await file.sync();
      await this.#store.commit(() => this.#store.sessions.put({ ...session, persisted }));
    }
    return persisted;
  }

  async #finish(call: Call, session: UploadSession, file: IncomingFile): Promise<StoredObject> {
    const { bucket, name, request } = session;
    try {
      checkSize(request.size, file.size);
      verifyChecksums(file.checksums, request.announced, parseHashHeader(hashHeader(call)));
    } catch (error) {
      // Wrong bytes stay wrong: no later request can make an object of them.
      await this.#end(session, "failed");
      throw error;
    }
    await this.#persist(session, file, file.size);
    await file.sync();
    const made = {
      bucket,
      name,
      properties: request.properties,
      componentCount: undefined,
      ...contentOf(file),
    };
    return this.#store.commit((transaction) => {
      const object = this.#store.replace(transaction, made, request.preconditions);
      this.#store.sessions.put({
        ...session,
        state: "finished",
        file: "",
        persisted: file.size,
        result: object,
      });
      return object;
    });
  }

  async #end(session: UploadSession, state: "cancelled" | "failed"): Promise<void> {
    await this.#store.commit((transaction) => {
      this.#store.sessions.put({ ...session, state, file: "" });
      this.#store.release(transaction, session.file);
    });
  }

  async #finished(call: Call, object: StoredObject): Promise<Answer> {
    // A client that sends bytes to a finished session still wants its connection back.
    await drain(call.body);
    return jsonAnswer(objectResource(object, call.baseUrl));
  }
}

function checkPart({ persisted, request }: UploadSession, part: UploadPart): void {
  if (part.total !== undefined) checkSize(request.size, part.total);
  if (part.total !== undefined && part.total < persisted)
    throw invalid(`The upload has ${persisted} bytes already.`);
  if (part.kind === "query") return;
  if (part.start > persisted) {
    throw invalid(`Bytes from ${part.start} on were sent; the next byte of this upload is ${persisted}.`);
  }
  if (part.kind === "chunk" && !isFinal(part, part.end) && (part.end - part.start) % stepBytes !== 0) {
    throw invalid(`All chunks but the last must be a multiple of ${stepBytes} bytes.`);
  }
}

function checkSize(announced: number | undefined, size: number): void {
  if (announced !== undefined && announced !== size) {
    throw invalid(`The upload was announced with ${announced} bytes but has ${size}.`);
  }
}

/** Appends what the file does not have yet. Bytes sent again are skipped, not compared. */
async function appendPart(
  body: AsyncIterable<Buffer>,
  persisted: number,
  part: UploadPart,
  file: IncomingFile,
): Promise<void> {
  const start = part.kind === "query" ? persisted : part.start;
  const limit = part.kind === "chunk" ? part.end : (part.total ?? Infinity);
  let position = start;
  for await (const chunk of body) {
    const known = Math.max(0, persisted - position);
    position += chunk.length;
    if (position > limit) throw invalid(`The body goes beyond byte ${limit}, where its Content-Range ends.`);
    if (known < chunk.length) await file.append(chunk.subarray(known));
  }
  const isShort = part.kind === "chunk" ? position < part.end : position < persisted;
  if (isShort) throw invalid("The body is shorter than its Content-Range or than what was uploaded before.");
}

/** Whether the object is complete once `size` bytes have arrived with `part`. */
function isFinal(part: UploadPart, size: number): boolean {
  if (part.total !== undefined) return size === part.total;
  return part.kind === "rest";
}

/** 308 in a form the client can take: Go's cannot see a 308 and asks for 200 with an override. */
function incomplete(call: Call, persisted: number): Answer {
  const range: Record<string, string> = persisted === 0 ? {} : { range: `bytes=0-${persisted - 1}` };
  if (call.headers["x-guploader-no-308"] !== "yes") return emptyAnswer(308, range);
  return emptyAnswer(200, { ...range, "x-http-status-code-override": "308" });
}
