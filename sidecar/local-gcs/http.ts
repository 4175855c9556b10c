// From a raw HTTP request to a call of the API and back: the one place where errors become answers.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Conditions } from "./admin/conditions.ts";
import { Api } from "./api/api.ts";
import { isMediaRequest } from "./api/get.ts";
import { ApiError } from "./api-error.ts";
import { ConnectionLost, emptyAnswer, type Answer, type Call } from "./call.ts";
import { uploadPartOf } from "./content-range.ts";
import { Exchange } from "./exchange.ts";
import { parseFields, selectFields } from "./partial-response.ts";
import { routeOf, type MethodName } from "./routes.ts";
import type { Store } from "./store.ts";

/** Calls the service counts as writes of the object they name. */
const writes: ReadonlySet<MethodName> = new Set([
  "storage.objects.insert",
  "storage.objects.patch",
  "storage.objects.update",
  "storage.objects.compose",
  "storage.objects.copy",
  "storage.objects.rewrite",
  "storage.objects.move",
] as const);

export class HttpInterface {
  readonly #store: Store;
  readonly #conditions: Conditions;
  readonly #api: Api;

  constructor(store: Store, conditions: Conditions) {
    this.#store = store;
    this.#conditions = conditions;
    this.#api = new Api(store);
  }

  /** Answers one request. `rawUrl` is the URL as it stood in the request line. */
  async handle(request: IncomingMessage, response: ServerResponse, rawUrl: string): Promise<void> {
    const [rawPath, rawQuery] = splitOnce(rawUrl, "?");
    const query = new URLSearchParams(rawQuery);
    const exchange = this.#exchange(request, response, query);
    let call: Call | undefined;
    try {
      await this.#conditions.link.travel();
      call = this.#call(exchange, rawPath, query);
      if (call === undefined) throw new ApiError(404, "notFound", "Not Found");
      await this.#answer(exchange, call);
    } catch (error) {
      await this.#refuse(exchange, call, error);
    }
    this.#store.log.debug(exchange.record, "request answered");
  }

  async #answer(exchange: Exchange, call: Call): Promise<void> {
    // A multipart upload may name its object in the body only; then these checks wait for it.
    const name = this.#api.objectNameOf(call);
    if (name !== "" || !call.isUpload) this.#nameKnown(exchange, call, name);
    const answer = await this.#api.serve(exchange.request.method ?? "", call);
    await exchange.send(withFields(answer, call), this.#store.clock.nowMs());
  }

  async #refuse(exchange: Exchange, call: Call | undefined, error: unknown): Promise<void> {
    if (error instanceof ConnectionLost) return exchange.drop(error.cause === "close" ? "close" : "reset");
    if (!(error instanceof ApiError))
      this.#store.log.error({ err: error, url: exchange.request.url }, "request failed");
    // An answer that has begun cannot be turned into another one.
    if (exchange.response.headersSent) return exchange.drop("reset");
    try {
      await exchange.send(errorAnswer(error, call), this.#store.clock.nowMs());
    } catch {
      exchange.drop("reset");
    }
  }

  #exchange(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Exchange {
    return new Exchange(request, response, this.#conditions, {
      method: "unknown",
      verb: request.method ?? "",
      bucket: "",
      object: "",
      query: Object.fromEntries(query),
      range: request.headers["content-range"] ?? request.headers.range,
      status: 0,
      requestBytes: 0,
      responseBytes: 0,
      atMs: Date.now(),
    });
  }

  #call(exchange: Exchange, rawPath: string, query: URLSearchParams): Call | undefined {
    const { request, record } = exchange;
    const route = routeOf(request.method ?? "", rawPath);
    if (route === undefined) return undefined;
    record.method = route.method;
    record.bucket = route.bucket;
    const call: Call = {
      ...route,
      query,
      headers: request.headers,
      baseUrl: `http://${request.headers.host ?? `127.0.0.1:${request.socket.localPort}`}`,
      body: exchange.body(firstByte(request)),
      gone: exchange.gone,
      interrupt: () => request.socket.destroy(),
      arrived: () => exchange.comesLate(),
      nameKnown: (name) => this.#nameKnown(exchange, call, name),
    };
    return call;
  }

  /** Lets conditions that depend on the object take effect, once. */
  #nameKnown(exchange: Exchange, call: Call, name: string): void {
    const { record, request } = exchange;
    if (record.object !== "" && record.object === name) return;
    record.object = name;
    const { method, bucket } = call;
    exchange.fault = this.#conditions.faultFor(
      { method, bucket, object: name },
      oneHeader(request, "x-retry-test-id"),
    );
    exchange.strikeFirst();
    if (!writes.has(method) || call.query.has("upload_id")) return;
    this.#conditions.objectRate.check(call.destinationBucket || bucket, call.destinationObject || name);
  }
}

function withFields(answer: Answer, call: Call): Answer {
  const fields = call.query.get("fields");
  if (fields === null || fields === "" || answer.body.kind !== "json") return answer;
  // Absent members must be absent before they are selected.
  return { ...answer, body: { kind: "json", value: selectFields(answer.body.value, parseFields(fields)) } };
}

function errorAnswer(error: unknown, call: Call | undefined): Answer {
  const known = error instanceof ApiError ? error : new ApiError(500, "backendError", "Internal error.");
  if (known.status === 304) return emptyAnswer(304);
  // Media errors are plain text, as the service's are.
  const isText = call !== undefined && isMediaRequest(call);
  const body = isText
    ? ({ kind: "text", text: known.message } as const)
    : ({ kind: "json", value: known.toJson() } as const);
  return { status: known.status, headers: {}, body };
}

/** Where in the object the body of an upload request begins. */
function firstByte({ headers }: IncomingMessage): number {
  const header = headers["content-range"];
  if (header === undefined) return 0;
  const part = uploadPartOf(header);
  return part.kind === "query" ? 0 : part.start;
}

function oneHeader(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
