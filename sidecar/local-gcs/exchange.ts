// One request and its answer on the wire: bytes counted, delayed, broken off and recorded.
//
// The body is read as a stream and never twice. The record is in the log before the first byte of an answer, so a
// client that has its answer finds its request there.

import { close, read } from "node:fs";
import { validateHeaderValue, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { refusal } from "./api-error.ts";
import type { Conditions } from "./admin/conditions.ts";
import type { Fault } from "./admin/faults.ts";
import { piecesOfBody } from "./request-body.ts";
import type { RequestRecord } from "./admin/request-log.ts";
import { ConnectionLost, type Answer, type AnswerBody } from "./call.ts";

// Bytes of a file that are read and on their way to one client at a time.
const pieceBytes = 256 * 1024;

// Made once: with no reason of its own every abort would make an exception.
const clientGone = new ConnectionLost("The client went away.");

const readFrom = promisify(read);
const closeDescriptor = promisify(close);

type FileBody = Extract<AnswerBody, { kind: "file" }>;

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: RequestRecord;
  /** What is to go wrong with this request, once its object is known. */
  fault: Fault | undefined;
  readonly #conditions: Conditions;
  readonly #gone = new AbortController();
  /** Something has come with the request. */
  #received = false;
  #recorded = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    conditions: Conditions,
    record: RequestRecord,
  ) {
    this.request = request;
    this.response = response;
    this.record = record;
    this.#conditions = conditions;
    response.once("close", () => this.#gone.abort(clientGone));
    // Reported to whoever writes; nobody else needs to hear of it.
    response.on("error", () => undefined);
  }

  /** Aborts when the answer has been sent or the client went away. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** The request's body. `position` is where in the object its first byte belongs. */
  async *body(position: number): AsyncGenerator<Buffer> {
    let at = position;
    try {
      for await (const chunk of piecesOfBody(this.request)) {
        this.#received = true;
        this.record.requestBytes += chunk.length;
        if (this.#conditions.link.isNarrow) await this.#conditions.link.carry("up", chunk.length);
        if (this.fault === undefined) yield chunk;
        else yield* this.#untilFault(chunk, at);
        at += chunk.length;
      }
    } catch (error) {
      throw this.request.destroyed ? clientGone : error;
    }
  }

  /** Sends an answer, or as much of it as the fault in store lets through. */
  async send(answer: Answer, dateMs: number): Promise<void> {
    const { body } = answer;
    try {
      if (this.#loses("lost-answer")) throw new ConnectionLost("The answer is lost on request of a test.");
      this.#addRecord(answer.status);
      this.#writeHead(answer, dateMs);
      if (body.kind === "file") await this.#sendFile(body);
      else await this.#sendText(body);
    } finally {
      if (body.kind === "file") await closeDescriptor(body.descriptor);
    }
    // What the client still sends is of no interest, but its connection is.
    // A reader that stopped in the middle would pause it again.
    this.request.removeAllListeners("data");
    if (!this.request.readableEnded) this.request.resume();
  }

  /** Ends the connection without an answer, or in the middle of one. */
  drop(how: "reset" | "close"): void {
    this.#addRecord(0);
    const { socket } = this.request;
    if (socket.destroyed) return;
    if (how === "reset") socket.resetAndDestroy();
    else socket.destroySoon();
  }

  /** Strikes at once if the fault is of the kind that comes before anything else happens. */
  strikeFirst(): void {
    const { fault } = this;
    if (fault === undefined) return;
    const { action } = fault;
    if (action.kind === "reset" && fault.take()) throw new ConnectionLost("reset on request of a test");
    if (action.kind === "status" && action.afterBytes === undefined && fault.take())
      throw refusal(action.status);
  }

  /** If that is in store: the client goes without an answer, and what it asked for waits. */
  async comesLate(): Promise<void> {
    const { fault } = this;
    if (fault?.action.kind !== "late" || !fault.take()) return;
    this.drop("close");
    await delay(fault.action.seconds * 1000);
  }

  /** Passes `bytes` on; where the fault strikes it stops, stalls or breaks off. `at` is the position of `bytes`. */
  async *#untilFault(bytes: Buffer, at: number): AsyncGenerator<Buffer> {
    const fault = this.fault;
    const action = fault?.action;
    const afterBytes = action !== undefined && "afterBytes" in action ? action.afterBytes : undefined;
    if (
      fault === undefined ||
      afterBytes === undefined ||
      at + bytes.length < afterBytes ||
      at > afterBytes
    ) {
      yield bytes;
      return;
    }
    if (afterBytes > at) yield bytes.subarray(0, afterBytes - at);
    this.fault = undefined;
    if (fault.take()) await this.#strike(fault.action);
    if (afterBytes < at + bytes.length) yield bytes.subarray(afterBytes - at);
  }

  async #strike(action: Fault["action"]): Promise<void> {
    if (action.kind === "stall") {
      await delay(action.seconds * 1000, undefined, { signal: this.#gone.signal }).catch(() => undefined);
    } else if (action.kind === "status" && !this.response.headersSent) {
      throw refusal(action.status);
    } else {
      throw new ConnectionLost("broken off on request of a test", { cause: "close" });
    }
  }

  #loses(kind: Fault["action"]["kind"]): boolean {
    return this.fault?.action.kind === kind && this.fault.take();
  }

  #addRecord(status: number): void {
    if (!this.response.headersSent) this.record.status = status;
    if (!this.#recorded) this.#conditions.requests.add(this.record);
    this.#recorded = true;
  }

  #writeHead({ status, headers, body }: Answer, dateMs: number): void {
    // An answer that failed before its first byte leaves nothing to the one that says so.
    for (const name of this.response.getHeaderNames()) this.response.removeHeader(name);
    this.response.statusCode = status;
    this.response.sendDate = false;
    this.response.setHeader("date", new Date(dateMs).toUTCString());
    for (const [name, value] of Object.entries(headers)) {
      if (isHeaderValue(name, value)) this.response.setHeader(name, value);
    }
    if (body.kind === "json") this.response.setHeader("content-type", "application/json; charset=utf-8");
    if (body.kind === "text") this.response.setHeader("content-type", "text/html; charset=utf-8");
    if (body.kind === "none" && status !== 204 && status !== 304)
      this.response.setHeader("content-length", "0");
  }

  async #sendText(body: Exclude<AnswerBody, FileBody>): Promise<void> {
    if (body.kind === "none") return void this.response.end();
    const bytes = Buffer.from(body.kind === "json" ? JSON.stringify(body.value) : body.text);
    this.response.setHeader("content-length", bytes.length);
    if (this.request.method === "HEAD") return void this.response.end();
    // A fault that is to strike within what a client sends does not strike the answer.
    const pieces = this.#received ? [bytes] : this.#untilFault(bytes, 0);
    for await (const piece of pieces) {
      this.record.responseBytes += piece.length;
      await this.#conditions.link.carry("down", piece.length);
      this.response.write(piece);
    }
    this.response.end();
  }

  async #sendFile(file: FileBody): Promise<void> {
    if (this.request.method === "HEAD") return void this.response.end();
    if (file.end - file.start <= pieceBytes && !file.gunzip && this.fault === undefined)
      return this.#sendSmall(file);
    let sent = 0;
    for await (const bytes of file.gunzip ? gunzipped(file) : piecesOf(file)) {
      for await (const piece of this.#untilFault(bytes, sent)) {
        this.record.responseBytes += piece.length;
        await this.#conditions.link.carry("down", piece.length);
        await this.#write(piece);
      }
      sent += bytes.length;
    }
    this.response.end();
  }

  /** One read, one write: most objects are like this. */
  async #sendSmall(file: FileBody): Promise<void> {
    for await (const bytes of piecesOf(file)) {
      this.record.responseBytes += bytes.length;
      await this.#conditions.link.carry("down", bytes.length);
      this.response.write(bytes);
    }
    this.response.end();
  }

  /** Resolves once `bytes` are handed to the network; rejects if the client is gone. */
  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#gone;
      const lost = () => reject(clientGone);
      if (signal.aborted) return lost();
      signal.addEventListener("abort", lost, { once: true });
      this.response.write(bytes, (error) => {
        signal.removeEventListener("abort", lost);
        if (error) lost();
        else resolve();
      });
    });
  }
}

async function* piecesOf({ descriptor, start, end }: FileBody): AsyncGenerator<Buffer> {
  for (let position = start; position < end;) {
    const wanted = Math.min(pieceBytes, end - position);
    const { bytesRead, buffer } = await readFrom(descriptor, Buffer.allocUnsafe(wanted), 0, wanted, position);
    if (bytesRead === 0) throw new Error("A data file is shorter than its object.");
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* gunzipped(file: FileBody): AsyncGenerator<Buffer> {
  const source = Readable.from(piecesOf(file));
  const unpacked = createGunzip();
  source.on("error", (error) => unpacked.destroy(error));
  try {
    for await (const piece of source.pipe(unpacked)) yield piece as Buffer;
  } finally {
    source.destroy();
  }
}

/** What objects are said to be ends up in headers; what cannot stand there is left out. */
function isHeaderValue(name: string, value: string): boolean {
  try {
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}
