// Uploads in a session: a break costs only what the service had not stored yet.
//
// One long request sends everything there is; after a break the service is asked how far it got. Its answer is
// final for the bytes below it: they are not compared again, the CRC32C given at the end covers them.

import type { Dated, ObjectInfo, UploadOptions, UploadSource } from "./bucket.ts";
import type { Budget } from "./budget.ts";
import { encodeCrc32c } from "./crc32c.ts";
import { BucketError, isBucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import { decodeObject } from "./objects.ts";
import { dated, type Answer, type Requests } from "./requests.ts";
import { piecesFrom, sizeOf } from "./source.ts";
import type { Write } from "./write.ts";

// "Resume incomplete": the service holds the bytes its Range header tells and waits for more.
const incomplete = 308;

/** Uploads `source` in the session given, or a new one, and resolves when the object exists. */
export function uploadInSession(
  requests: Requests,
  write: Write,
  source: UploadSource,
  options: UploadOptions,
): Promise<Dated<ObjectInfo>> {
  const upload = new SessionUpload(requests, write, source, options);
  return requests.repeat({ about: write.about, signal: options.signal }, upload.budget, () => upload.goOn());
}

class SessionUpload {
  readonly budget: Budget;
  readonly #requests: Requests;
  readonly #write: Write;
  readonly #source: UploadSource;
  readonly #size: number;
  readonly #options: UploadOptions;
  #sessionUrl: string | undefined;
  /** How many bytes the service is known to hold; undefined when it has to be asked. */
  #position: number | undefined;

  constructor(requests: Requests, write: Write, source: UploadSource, options: UploadOptions) {
    this.budget = requests.dataBudget();
    this.#requests = requests;
    this.#write = write;
    this.#source = source;
    this.#size = sizeOf(source);
    this.#options = options;
    this.#sessionUrl = options.session?.url;
  }

  /** From wherever the upload is to its end; throws when that does not succeed this time. */
  async goOn(): Promise<Dated<ObjectInfo>> {
    if (this.#sessionUrl === undefined) await this.#begin();
    for (;;) {
      const before = this.#position;
      const answer =
        before === undefined || before === this.#size ? await this.#ask() : await this.#send(before);
      if (answer.status !== incomplete) return this.#finished(answer);
      this.#confirm(answer);
      if (this.#position === before) {
        throw new BucketError("unavailable", `${this.#write.about}: the service takes no more bytes`);
      }
    }
  }

  async #begin(): Promise<void> {
    const resource = Buffer.from(JSON.stringify(this.#write.resource));
    const answer = await this.#requests.askOnce(
      {
        operation: "insert",
        about: this.#write.about,
        method: "POST",
        path: this.#write.path + encodeQuery({ uploadType: "resumable", ...this.#write.query }),
        headers: {
          "content-type": "application/json; charset=utf-8",
          "x-upload-content-type": this.#write.contentType,
          "x-upload-content-length": String(this.#size),
        },
        body: () => ({ length: resource.length, content: resource }),
        signal: this.#options.signal,
      },
      this.budget.tryMs(),
    );
    const url = answer.header("location");
    if (url === undefined)
      throw new BucketError("unavailable", `${this.#write.about}: no upload session was given`);
    this.#sessionUrl = url;
    this.#position = 0;
    await this.#options.onSession?.({ url });
  }

  // Also what finishes an upload whose bytes are all there: hence the checksum.
  #ask(): Promise<Answer> {
    return this.#put({ "content-range": `bytes */${this.#size}`, "x-goog-hash": this.#hash() }, () => ({
      length: 0,
      content: Buffer.alloc(0),
    }));
  }

  #send(position: number): Promise<Answer> {
    this.#position = undefined; // until an answer says so
    const range = `bytes ${position}-${this.#size - 1}/${this.#size}`;
    return this.#put({ "content-range": range, "x-goog-hash": this.#hash() }, () => ({
      length: this.#size - position,
      content: this.#piecesFrom(position),
    }));
  }

  async *#piecesFrom(position: number): AsyncGenerator<Buffer> {
    let sent = position;
    for await (const piece of piecesFrom(this.#source, position)) {
      this.budget.reached(sent); // the pieces before this one went out
      yield piece;
      sent += piece.length;
    }
  }

  async #put(
    headers: Record<string, string>,
    body: () => { length: number; content: Buffer | AsyncIterable<Buffer> },
  ): Promise<Answer> {
    try {
      return await this.#requests.askOnce(
        {
          operation: "upload",
          about: this.#write.about,
          method: "PUT",
          path: pathOf(this.#sessionUrl as string),
          headers,
          body,
          signal: this.#options.signal,
        },
        this.budget.tryMs(),
        [incomplete],
      );
    } catch (error) {
      if (!isBucketError(error) || (error.status !== 404 && error.status !== 410)) throw error;
      // The session is gone, with or without having become an object: a new one finds out (412, then our own id).
      this.#sessionUrl = undefined;
      this.#position = undefined;
      throw new BucketError(
        "unavailable",
        `${this.#write.about}: the upload session is gone, starting over`,
        {
          uncertain: true,
          cause: error,
        },
      );
    }
  }

  #confirm(answer: Answer): void {
    const position = positionOf(answer.header("range"));
    if (position === undefined || position > this.#size) {
      throw new BucketError("invalid", `${this.#write.about}: the service holds more bytes than there are`);
    }
    this.#position = position;
    this.budget.reached(position);
    this.#options.onProgress?.(position);
  }

  #finished(answer: Answer): Dated<ObjectInfo> {
    this.#position = undefined;
    const object = dated(answer, decodeObject);
    this.#options.onProgress?.(this.#size);
    return object;
  }

  #hash(): string {
    return `crc32c=${encodeCrc32c(this.#source.crc32c)}`;
  }
}

// Sent to the endpoint we know, whatever host the address names: servers behind other addresses name themselves
// wrongly, and our credentials go nowhere else.
function pathOf(sessionUrl: string): string {
  const { pathname, search } = new URL(sessionUrl, "http://endpoint");
  return pathname + search;
}

/** `bytes=0-N` means N + 1 bytes; no header, none. Undefined if it is neither. */
export function positionOf(range: string | undefined): number | undefined {
  if (range === undefined) return 0;
  const last = /^bytes=0-(\d+)$/.exec(range)?.[1];
  return last === undefined ? undefined : Number(last) + 1;
}
