// The npm registry this machine uses, by plain HTTP on its own address.
//
// A build knows neither this machine's certificates nor its proxies, and nothing of either may end up in an
// image. With --network host it can reach this, and no more than its address is told to the build.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { rootCertificates } from "node:tls";
import { EnvHttpProxyAgent, request } from "undici";

export interface NpmRelay {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it. Nobody but this machine can reach it. */
export async function startNpmRelay(): Promise<NpmRelay> {
  const registry = npmSetting("registry").replace(/\/?$/, "/");
  const certificates = npmSetting("cafile") || process.env["NODE_EXTRA_CA_CERTS"];
  const dispatcher = new EnvHttpProxyAgent({
    requestTls: trusting(certificates),
    connect: trusting(certificates),
  });
  const server = createServer((question, answer) => {
    relay(question, answer, registry, dispatcher).catch((error: unknown) => {
      if (!answer.headersSent) answer.writeHead(502);
      answer.end(String(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await dispatcher.close();
    },
  };
}

function npmSetting(name: string): string {
  const value = execFileSync("npm", ["config", "get", name], { encoding: "utf8" }).trim();
  return value === "null" || value === "undefined" ? "" : value;
}

function trusting(file: string | undefined): { ca?: string[] } {
  return file ? { ca: [...rootCertificates, readFileSync(file, "utf8")] } : {};
}

async function relay(
  question: IncomingMessage,
  answer: ServerResponse,
  registry: string,
  dispatcher: EnvHttpProxyAgent,
): Promise<void> {
  const own = `http://${question.headers.host}/`;
  const { accept = "*/*" } = question.headers;
  const { statusCode, headers, body } = await request(new URL(question.url!.slice(1), registry), {
    dispatcher,
    headers: { accept },
  });
  const type = String(headers["content-type"] ?? "application/octet-stream");
  answer.writeHead(statusCode, { "content-type": type });
  // A package's description says where its files are: there is where we are.
  if (type.includes("json")) answer.end((await body.text()).replaceAll(registry, own));
  else await pipeline(Readable.from(body), answer);
}
