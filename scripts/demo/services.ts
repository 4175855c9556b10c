// The four programs of the demo: what each is started with, and how one can tell that it works.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isFuseMount } from "./mounts.ts";
import { nginxConfiguration } from "./nginx.ts";
import {
  appDirectory,
  appUser,
  logFile,
  pidFile,
  projectDirectory,
  temporaryDirectory,
  type Place,
  webDirectory,
} from "./place.ts";
import type { Ports } from "./ports.ts";
import { Service } from "./service.ts";

export interface ServiceSettings {
  readonly place: Place;
  readonly ports: Ports;
  readonly address: string;
  readonly admin: boolean;
  readonly bucketName: string;
}

const main = join(projectDirectory, "sidecar", "main.ts");

export function bucketService({ place, ports, admin, bucketName }: ServiceSettings): Service {
  const args = ["local-gcs", place.bucket, "--port", String(ports.bucket), "--bucket", bucketName];
  return new Service({
    name: "bucket server",
    program: process.execPath,
    args: [main, ...args, ...(admin ? ["--admin"] : [])],
    workingDirectory: place.run,
    environment: ownEnvironment(),
    logFile: logFile(place, "bucket"),
    pidFile: pidFile(place, "bucket"),
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 20_000,
    ready: () => answers(`http://127.0.0.1:${ports.bucket}/storage/v1/b/${bucketName}`),
  });
}

export function mountService(
  { place, ports, bucketName }: ServiceSettings,
  name: string,
  directory: string,
  more: readonly string[],
): Service {
  return new Service({
    name,
    program: process.execPath,
    args: [main, "mount", bucketName, directory, "--endpoint", `http://127.0.0.1:${ports.bucket}`, ...more],
    workingDirectory: "/",
    environment: ownEnvironment(),
    logFile: logFile(place, name),
    pidFile: pidFile(place, name),
    // It may take its whole --drain-timeout to finish what is under way.
    stopTimeoutMs: 30_000,
    readyTimeoutMs: 30_000,
    ready: (said) => isFuseMount(directory) && said.includes(`"message":"mounted"`),
  });
}

export function appService({ place, ports }: ServiceSettings): Service {
  const gunicorn = ["/usr/bin/gunicorn", "app:app", "--bind", `127.0.0.1:${ports.app}`, "--workers", "2"];
  return new Service({
    name: "app",
    program: "/usr/bin/setpriv",
    args: [
      "--reuid",
      String(appUser),
      "--regid",
      String(appUser),
      "--clear-groups",
      "--no-new-privs",
      ...gunicorn,
    ],
    workingDirectory: appDirectory(place),
    environment: {
      PATH: "/usr/bin:/bin",
      LANG: "C.UTF-8",
      HOME: temporaryDirectory(place),
      // Large forms are set aside while they arrive: on the local disk.
      TMPDIR: temporaryDirectory(place),
      PYTHONDONTWRITEBYTECODE: "1",
    },
    logFile: logFile(place, "app"),
    pidFile: pidFile(place, "app"),
    // Longer than gunicorn gives its own workers to finish (30 s).
    stopTimeoutMs: 35_000,
    readyTimeoutMs: 20_000,
    ready: () => answers(`http://127.0.0.1:${ports.app}/`),
  });
}

export function webService(
  { place, ports, address }: ServiceSettings,
  name = "nginx",
  uploads = webDirectory(place),
): Service {
  const directory = join(place.run, "nginx", name);
  const file = join(directory, "nginx.conf");
  const listen = `${address}:${ports.web}`;
  const near = address === "0.0.0.0" ? "127.0.0.1" : address;
  return new Service({
    name,
    program: "/usr/sbin/nginx",
    args: ["-e", "stderr", "-c", file, "-g", "daemon off;"],
    workingDirectory: "/",
    environment: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
    logFile: logFile(place, name),
    pidFile: pidFile(place, name),
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 20_000,
    prepare: async () => {
      await mkdir(directory, { recursive: true });
      const app = `127.0.0.1:${ports.app}`;
      await writeFile(file, await nginxConfiguration({ listen, app, uploads, directory }));
    },
    ready: () => answers(`http://${near}:${ports.web}/uploads/.nothing`, 404),
  });
}

async function answers(url: string, status = 200): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
    await answer.arrayBuffer();
    return answer.status === status;
  } catch {
    return false; // nobody listens yet
  }
}

/**
 * Ours without credentials and settings of the person who starts it: the demo is the same for everybody. Only the
 * channel can be chosen, to see the same things hold on the other one.
 */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const foreign =
    /^(SIDEMOUNT_(?!CHANNEL$)|GOOGLE_|GCS_|STORAGE_EMULATOR_HOST|CLOUDSDK_|NODE_OPTIONS|https?_proxy$)/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}
