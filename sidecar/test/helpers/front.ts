// What stands between a client and the bucket server: looks at each request, refuses it or passes it on. With a
// certificate it is storage.googleapis.com for whoever looks the name up where the test says.

import { once } from "node:events";
import { createServer, request as passOn, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

import type { Cleaning } from "./cleanups.ts";

/** A request, before its body. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly atMs: number;
}

export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
}

export interface Front {
  readonly port: number;
  readonly seen: readonly Seen[];
}

/** Starts a front of `behind` that ends with the test. `judge` answers why a request is refused. */
export async function startFront(
  t: Cleaning,
  behind: string,
  judge: (seen: Seen) => Refusal | undefined | Promise<Refusal | undefined>,
  certificate?: { readonly key: Buffer; readonly cert: Buffer },
): Promise<Front> {
  const seen: Seen[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = "", url = "", headers } = request;
    const one = { method, url, authorization: headers.authorization, atMs: performance.now() };
    seen.push(one);
    const refusal = await judge(one);
    if (refusal === undefined) forward(behind, request, response);
    else refuse(request, response, refusal);
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    handle(request, response).catch(() => response.destroy());
  };
  const server = certificate === undefined ? createServer(listener) : createTlsServer(certificate, listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

function forward(behind: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = request;
  const { authorization: _, ...others } = headers;
  const onward = passOn(
    behind + url,
    { method, headers: { ...others, host: new URL(behind).host } },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  request.resume();
  const { status, reason, message } = refusal;
  const error = { code: status, message, errors: [{ message, domain: "global", reason }] };
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify({ error }));
}
