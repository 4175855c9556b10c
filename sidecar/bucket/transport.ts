// One request to the service, once: connections, credentials, time, counting.
//
// An answer is whatever has a status; what it means is decided above.

import { setTimeout as delay } from "node:timers/promises";

import { Pool, type Dispatcher } from "undici";

import type { Credentials } from "./auth.ts";
import { BucketError } from "./errors.ts";
import type { Measure, Operation } from "./measure.ts";
import { Reply } from "./reply.ts";
import { Watch } from "./watch.ts";

// Per pool. Each upload or download under way holds one connection; more of them do not make a machine's
// network faster, and Google's front end counts connections too.
const connectionsPerPool = 64;
// A host that does not answer the first packet will not answer later ones; the try after this one may find another.
const connectTimeoutMs = 5_000;
// Google keeps idle connections for minutes. Servers that say how long they do (Node's: 5 s) are believed.
const keepAliveMs = 30_000;
// Whoever closes the bucket has ended its work; what is left is a body nobody reads any more.
const closingMs = 500;

/** Bytes to send, made anew for each try. */
export interface Body {
  readonly length: number;
  readonly content: Buffer | AsyncIterable<Buffer>;
}

/** A request as it is sent. */
export interface Call {
  readonly operation: Operation;
  /** What is being done, for messages: `insert of "a.txt"`. */
  readonly about: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => Body;
  readonly signal?: AbortSignal | undefined;
}

export class Transport {
  // Questions never wait behind long downloads: they have connections of their own.
  readonly #questions: Pool;
  readonly #bytes: Pool;
  readonly #credentials: Credentials;
  readonly #userAgent: string;
  readonly #measure: Measure;
  #closed: Promise<void> | undefined;

  constructor(endpoint: string, credentials: Credentials, userAgent: string, measure: Measure) {
    const options: Pool.Options = {
      connections: connectionsPerPool,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      connect: { timeout: connectTimeoutMs },
      headersTimeout: 0, // watch.ts
      bodyTimeout: 0,
    };
    this.#questions = new Pool(endpoint, options);
    this.#bytes = new Pool(endpoint, options);
    this.#credentials = credentials;
    this.#userAgent = userAgent;
    this.#measure = measure;
  }

  /**
   * Sends `call` and resolves with the start of the answer, whatever its status. `limitMs` is how long nothing may
   * be heard. Credentials that the service does not accept are renewed once.
   */
  async send(call: Call, limitMs: number): Promise<Reply> {
    const identity = await within(limitMs, call, this.#credentials.headers());
    const reply = await this.#sendAs(identity, call, limitMs);
    if (reply.status !== 401 || identity["authorization"] === undefined) return reply;
    reply.discard();
    return this.#sendAs(await within(limitMs, call, this.#credentials.renewed(identity)), call, limitMs);
  }

  /** Lets requests under way finish for a moment, then ends every connection. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const closed = Promise.all([this.#questions.close(), this.#bytes.close()]);
    await Promise.race([closed, delay(closingMs, undefined, { ref: false })]);
    await Promise.all([this.#questions.destroy(), this.#bytes.destroy()]);
  }

  async #sendAs(identity: Readonly<Record<string, string>>, call: Call, limitMs: number): Promise<Reply> {
    const watch = new Watch(call.about, limitMs, call.signal);
    try {
      const body = call.body?.();
      this.#measure.count(call.operation);
      const response = await this.#poolFor(call.operation).request({
        method: call.method,
        path: call.path,
        headers: {
          "user-agent": this.#userAgent,
          ...call.headers,
          ...(body === undefined ? {} : { "content-length": String(body.length) }),
          ...identity,
        },
        body: body === undefined ? null : this.#watched(body, watch),
        signal: watch.signal,
      });
      return new Reply(response, watch, this.#measure);
    } catch (error) {
      watch.end();
      throw watch.explain(error);
    }
  }

  #poolFor(operation: Operation): Pool {
    return operation === "read" || operation === "insert" || operation === "upload"
      ? this.#bytes
      : this.#questions;
  }

  #watched(body: Body, watch: Watch): Dispatcher.DispatchOptions["body"] & {} {
    if (Buffer.isBuffer(body.content)) {
      this.#measure.bytesSent += body.length;
      return body.content;
    }
    // Any async iterable of buffers is taken; the types of undici 7 do not say so. A Readable made of it would
    // buffer on its own, and the bytes are in buffers that are used again (source.ts).
    return this.#passing(body.content, watch) as unknown as Dispatcher.DispatchOptions["body"] & {};
  }

  // Each chunk that the connection asks for means that the ones before it went out.
  async *#passing(content: AsyncIterable<Buffer>, watch: Watch): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of content) {
        watch.moved();
        this.#measure.bytesSent += chunk.length;
        yield chunk;
      }
    } catch (error) {
      watch.failed(error);
      throw error;
    }
  }
}

// The token's issuer is not under our watch: whoever waits for it here stops waiting when the time is up.
async function within<T extends object>(limitMs: number, call: Call, promise: T | Promise<T>): Promise<T> {
  if (!(promise instanceof Promise)) return promise;
  const watch = new Watch(call.about, limitMs, call.signal);
  const ended = new Promise<never>((_, reject) => {
    const stop = (): void => {
      const error = watch.explain(undefined);
      const kind = error instanceof BucketError ? error.kind : "aborted";
      reject(new BucketError(kind, `${call.about}: no credentials in time`, { cause: error }));
    };
    if (watch.signal.aborted) stop();
    else watch.signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, ended]);
  } finally {
    watch.end();
  }
}
