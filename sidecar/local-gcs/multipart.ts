// A multipart/related upload, read as it arrives: a JSON part, then the media, of which only what might be the
// start of the closing delimiter is ever held back.

import { invalid } from "./api-error.ts";

export interface RelatedParts {
  readonly metadata: Buffer;
  readonly mediaType: string | undefined;
  readonly media: AsyncIterable<Buffer>;
}

// The service's own limit for metadata in a request is far below; this only bounds memory.
const maxHeadBytes = 1024 * 1024;

/** The boundary named in a Content-Type header. */
export function boundaryOf(contentType: string | undefined): string {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|'?([^\s;"']+)'?)/i.exec(contentType ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw invalid("Missing boundary in the Content-Type of a multipart upload.");
  return boundary;
}

/** Reads up to the start of the media; the media itself is read by iterating over it, once. */
export async function readRelated(body: AsyncIterable<Buffer>, boundary: string): Promise<RelatedParts> {
  const reader = new PartReader(body);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The first delimiter may stand at the very start, without the line break that belongs to the others.
  reader.pretend(Buffer.from("\r\n"));
  await reader.upTo(delimiter);
  await reader.upTo(Buffer.from("\r\n"));
  await partHeaders(reader);
  const metadata = await reader.upTo(delimiter);
  await reader.upTo(Buffer.from("\r\n"));
  const headers = await partHeaders(reader);
  const [, mediaType] = /^content-type:\s*(.*?)\s*$/im.exec(headers) ?? [];
  return { metadata, mediaType, media: reader.streamUpTo(delimiter) };
}

async function partHeaders(reader: PartReader): Promise<string> {
  reader.pretend(Buffer.from("\r\n"));
  return (await reader.upTo(Buffer.from("\r\n\r\n"))).toString("utf8");
}

class PartReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Buffer>) {
    this.#chunks = body[Symbol.asyncIterator]();
  }

  /** Reads on as if `bytes` had come first. */
  pretend(bytes: Buffer): void {
    this.#held = Buffer.concat([bytes, this.#held]);
  }

  /** The bytes before the next `mark`, which is consumed too. */
  async upTo(mark: Buffer): Promise<Buffer> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      if (at >= 0) return this.#take(at, mark);
      if (this.#held.length > maxHeadBytes) throw invalid("The metadata part of the upload is too large.");
      this.#held = Buffer.concat([this.#held, await this.#next()]);
    }
  }

  async *streamUpTo(mark: Buffer): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      if (at >= 0) {
        const last = this.#take(at, mark);
        if (last.length > 0) yield last;
        // The epilogue is read so that the connection can carry the next request.
        while ((await this.#chunks.next()).done !== true);
        return;
      }
      const safe = this.#held.length - mark.length + 1;
      if (safe > 0) yield this.#held.subarray(0, safe);
      const rest = safe > 0 ? this.#held.subarray(safe) : this.#held;
      this.#held = Buffer.concat([rest, await this.#next()]);
    }
  }

  #take(at: number, mark: Buffer): Buffer {
    const taken = this.#held.subarray(0, at);
    this.#held = this.#held.subarray(at + mark.length);
    return taken;
  }

  async #next(): Promise<Buffer> {
    const { done, value } = await this.#chunks.next();
    if (done === true) throw invalid("The multipart upload ended before its closing boundary.");
    return value;
  }
}
