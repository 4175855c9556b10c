// Builds the images, with what this machine knows of its network and without leaving any of it in them.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { projectDirectory } from "../demo/place.ts";
import type { CallOptions, Docker } from "./docker.ts";
import { imageName, labels, type Target } from "./names.ts";

export interface Build {
  readonly target: Target;
  /** Address of the npm registry. Another one makes the builder forget what it has. */
  readonly registry: string;
  /** As it is called in the end. */
  readonly name?: string;
  readonly environment?: CallOptions["environment"];
  readonly signal?: AbortSignal;
}

/** Builds one target. Answers with what the build said; throws DockerFailed with it. */
export async function buildImage(docker: Docker, build: Build): Promise<string> {
  const { target, registry, name = imageName(target), environment = {}, signal } = build;
  const options = [`--target=${target}`, `--build-arg=NPM_CONFIG_REGISTRY=${registry}`];
  return await buildFolder(docker, projectDirectory, name, { options, environment, signal });
}

/** Builds the Dockerfile of a folder. */
export async function buildFolder(
  docker: Docker,
  directory: string,
  name: string,
  { options = [], ...call }: CallOptions & { readonly options?: readonly string[] } = {},
): Promise<string> {
  const settings = Object.entries(await proxies()).map(([key, value]) => `--build-arg=${key}=${value}`);
  const args = ["build", "--network=host", `--tag=${name}`, ...labels(), ...options, ...settings, directory];
  return await docker.ask(args, { timeoutMs: 600_000, ...call });
}

// Arguments of these names are known to every builder and kept out of the image and its history.
async function proxies(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const scheme of ["http", "https"]) {
    const name = `${scheme}_proxy`;
    const value = process.env[name] ?? process.env[name.toUpperCase()] ?? (await proxyOfApt(scheme));
    if (value) found[name] = value;
  }
  // The relay is not behind it.
  return Object.keys(found).length > 0 ? { ...found, no_proxy: "127.0.0.1,localhost" } : {};
}

async function proxyOfApt(scheme: string): Promise<string | undefined> {
  const key = `Acquire::${scheme}::Proxy`;
  const { stdout } = await promisify(execFile)("apt-config", ["shell", "proxy", key]).catch(() => ({
    stdout: "",
  }));
  const proxy = /^proxy='(.*)'$/m.exec(stdout)?.[1];
  return proxy === "DIRECT" ? undefined : proxy;
}
