// `npm run test:container`: an engine, a base image, our images, the tests on them, and nothing left at the end.
// Arguments are those of ava: `npm run test:container -- sidecar/test/container/stopping.test.ts`.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { projectDirectory } from "../demo/place.ts";
import { baseName, provideBaseImage, type BaseImage } from "./base-image.ts";
import { buildImage } from "./build.ts";
import type { Docker } from "./docker.ts";
import { openEngine, type Engine } from "./engine.ts";
import { beginRun, label, runName } from "./names.ts";
import { startNpmRelay, type NpmRelay } from "./npm-relay.ts";
import { clearAbandoned, makeWorkplace, removeWorkplace } from "./workplace.ts";

const say = (line: string) => console.log(line);

async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  await clearAbandoned(say);
  beginRun();
  const workplace = await makeWorkplace();
  let engine: Engine | undefined;
  let base: BaseImage | undefined;
  let registry: NpmRelay | undefined;
  try {
    engine = await timed(
      "Engine",
      () => openEngine(workplace, signal),
      ({ about }) => about,
    );
    const { docker } = engine;
    base = await timed(
      "Base image",
      () => provideBaseImage(docker, workplace, signal),
      ({ about }) => about,
    );
    registry = await startNpmRelay();
    const { url } = registry;
    // The first is only so that it has a name by which it can be removed.
    for (const target of ["packages", "sidecar", "demo"] as const) {
      const build = () => buildImage(docker, { target, registry: url, signal });
      await timed(`Image ${target}`, build, () => "built");
    }
    return await runAva(args, docker, url, signal);
  } finally {
    await timed(
      "Cleaning up",
      async () => {
        if (engine?.own) await engine.close();
        else if (engine) await removeOwn(engine.docker, base?.ours ?? false);
        await registry?.close();
        await removeWorkplace(workplace);
      },
      () => "nothing is left",
    );
  }
}

async function timed<Result>(
  what: string,
  work: () => Promise<Result>,
  about: (result: Result) => string,
): Promise<Result> {
  const begin = performance.now();
  const result = await work();
  say(`${what}: ${about(result)} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  return result;
}

function runAva(
  args: readonly string[],
  docker: Docker,
  registry: string,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const ava = join(projectDirectory, "node_modules", "ava", "entrypoints", "cli.mjs");
  const config = ["--config", join("sidecar", "test", "container.config.js")];
  const child = spawn(process.execPath, [ava, ...config, ...args], {
    stdio: "inherit",
    env: {
      ...process.env,
      SIDEMOUNT_CONTAINER_DOCKER: docker.program,
      SIDEMOUNT_CONTAINER_REGISTRY: registry,
      ...(docker.host !== undefined && { DOCKER_HOST: docker.host }),
    },
  });
  const onAbort = () => child.kill("SIGTERM");
  signal.addEventListener("abort", onAbort);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      signal.removeEventListener("abort", onAbort);
      resolve(code ?? 1);
    });
  });
}

/** In an engine that is not ours, what carries our label goes, and nothing else. */
async function removeOwn(docker: Docker, baseIsOurs: boolean): Promise<void> {
  const filter = ["--filter", `label=${label()}`];
  const remove = async (list: readonly string[], command: readonly string[]) => {
    const found = (await docker.call([...list, "--quiet", ...filter])).stdout.split("\n").filter(Boolean);
    if (found.length > 0) await docker.call([...command, ...new Set(found)]);
  };
  await remove(["ps", "--all"], ["rm", "--force", "--volumes"]);
  await remove(["network", "ls"], ["network", "rm"]);
  await remove(["volume", "ls"], ["volume", "rm", "--force"]);
  await remove(["image", "ls"], ["image", "rm", "--force"]);
  if (baseIsOurs) await docker.call(["image", "rm", await baseName()]);
}

/** A signal for "time to stop": Ctrl-C, a signal, or the end of the process that started us. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort());
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && stop.abort(), 1000).unref();
  return stop.signal;
}

const stop = stopSignal();
let status = 1;
try {
  status = await main(process.argv.slice(2), stop);
} catch (error) {
  if (stop.aborted) say(`Stopped; everything of ${runName()} was removed.`);
  else console.error(error instanceof Error ? error.message : error);
}
process.exit(status);
