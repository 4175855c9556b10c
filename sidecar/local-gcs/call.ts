// A request as the API's functions see it, and the answer they give.

import type { IncomingHttpHeaders } from "node:http";
import { ApiError, invalid } from "./api-error.ts";
import type { JsonObject } from "./properties.ts";
import type { Route } from "./routes.ts";

export interface Call extends Route {
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** This server as the client addresses it: `http://host:port`. */
  readonly baseUrl: string;
  /** Fails with ConnectionLost when the client goes away. */
  readonly body: AsyncIterable<Buffer>;
  /** Aborts when the client has its answer or went away. */
  readonly gone: AbortSignal;
  /** Cuts the connection, so that whoever reads the body comes to an end. */
  interrupt(): void;
  /** To be awaited when all has arrived, before it takes effect: what a test has asked for may come between. */
  arrived(): Promise<void>;
  /** To be called with the object's name where only the body told it. May throw. */
  nameKnown(name: string): void;
}

export type AnswerBody =
  | { readonly kind: "none" }
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "text"; readonly text: string }
  /** Bytes of an open file, which is closed once they are sent or it is clear that they will not be. */
  | {
      readonly kind: "file";
      readonly descriptor: number;
      readonly start: number;
      readonly end: number;
      readonly gunzip: boolean;
    };

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AnswerBody;
}

/** The connection is gone, or is to be dropped without a word. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

export function jsonAnswer(value: unknown, headers: Record<string, string> = {}): Answer {
  return { status: 200, headers, body: { kind: "json", value } };
}

export function emptyAnswer(status: number, headers: Record<string, string> = {}): Answer {
  return { status, headers, body: { kind: "none" } };
}

const maxJsonBytes = 1024 * 1024;

/** The body as a JSON object; an empty body is an empty object. */
export async function readJson(body: AsyncIterable<Buffer>): Promise<JsonObject> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxJsonBytes) throw invalid("The request body is too large.");
    chunks.push(chunk);
  }
  return parseJson(Buffer.concat(chunks));
}

/** Reads a body nobody needs, so that the connection can carry the next request. */
export async function drain(body: AsyncIterable<Buffer>): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  while ((await chunks.next()).done !== true);
}

export function parseJson(bytes: Buffer): JsonObject {
  const text = bytes.toString("utf8").trim();
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError(400, "parseError", "Parse Error");
  }
  return jsonObject(value);
}

/** `value` if it is a JSON object; null and absent count as empty. */
export function jsonObject(value: unknown): JsonObject {
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw invalid("Parse Error: an object was expected.");
  return value as JsonObject;
}

/** Text of a JSON member, or undefined if it is not there. */
export function textMember(resource: JsonObject, name: string): string | undefined {
  const value = resource[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw invalid(`Invalid value for ${name}.`);
  return value;
}
