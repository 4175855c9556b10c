// nginx with the project's own configuration, in front of the folders of a test.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { nginxConfiguration } from "../../../scripts/demo/nginx.ts";
import { end } from "./bucket-server.ts";
import type { Cleaning } from "./cleanups.ts";

const START_MS = 10_000;

export interface WebServerOptions {
  /** What `/uploads/` shows. */
  readonly uploads: string;
  /** More locations like that one, by name, and what they show. */
  readonly folders?: Readonly<Record<string, string>>;
  /** Off where it would be measured. */
  readonly accessLog?: boolean;
  /** With `open_file_cache` on the settings the configuration documents. */
  readonly openFileCache?: boolean;
  readonly workers?: number;
}

export interface WebServer {
  readonly url: string;
  /** What nginx has said: its access log and its errors. */
  readonly said: () => string;
}

/** Starts nginx on a free port, in the foreground, for the length of a test. */
export async function startWebServer(t: Cleaning, options: WebServerOptions): Promise<WebServer> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "sidemount-nginx-"));
  await chmod(directory, 0o755);
  const listen = `127.0.0.1:${await freePort()}`;
  const shipped = await nginxConfiguration({
    listen,
    app: "127.0.0.1:9",
    uploads: options.uploads,
    directory,
  });
  const file = path.join(directory, "nginx.conf");
  await writeFile(file, adapt(shipped, options));
  // A file: nginx opens /dev/stdout again, which it cannot where that is a socket.
  const log = path.join(directory, "log");
  const output = await open(log, "a");
  const child = spawn("/usr/sbin/nginx", ["-e", "stderr", "-c", file, "-g", "daemon off;"], {
    stdio: ["ignore", output.fd, output.fd],
  });
  await output.close();
  const said = (): string => readFileSync(log, "utf8");
  t.teardown(async () => {
    await end(child, "SIGQUIT");
    await rm(directory, { recursive: true, force: true });
  });
  const url = `http://${listen}`;
  for (const endMs = Date.now() + START_MS; !(await answers(url)); await delay(50)) {
    if (child.exitCode !== null || Date.now() > endMs) throw new Error(`nginx does not answer: ${said()}`);
  }
  return { url, said };
}

function adapt(
  shipped: string,
  { folders = {}, accessLog, openFileCache, workers }: WebServerOptions,
): string {
  let text = shipped;
  const change = (from: string | RegExp, to: string): void => {
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`nginx.conf has no ${String(from)}`);
    text = changed;
  };
  if (openFileCache === true) {
    change(/^ *open_file_cache off;\n/m, "");
    change("# open_file_cache max", "open_file_cache max");
    change("# open_file_cache_valid", "open_file_cache_valid");
  }
  if (workers !== undefined) change(/worker_processes \d+;/, `worker_processes ${workers};`);
  if (accessLog === false) change(/access_log .*;/, "access_log off;");
  const [location = ""] = /^ *location \/uploads\/ \{[^]*?^ {8}\}\n/m.exec(text) ?? [];
  for (const [name, folder] of Object.entries(folders)) {
    const other = location.replace("/uploads/", `/${name}/`).replace(/alias "[^"]*"/, `alias "${folder}/"`);
    change(location, `${location}\n${other}`);
  }
  return text;
}

async function answers(url: string): Promise<boolean> {
  try {
    const { status, body } = await fetch(`${url}/uploads/.nothing`);
    await body?.cancel();
    return status === 404;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
