// The image ours is made from: the one of that name if it is here or can be had, else a stand-in made of Debian's
// packages, the Node of this project, and npm.

import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectDirectory } from "../demo/place.ts";
import type { Docker } from "./docker.ts";

const run = promisify(execFile);

const release = "bookworm";
// Like the slim images, without what only people read.
const unwanted = ["doc", "info", "locale", "man"].map((name) => `path-exclude=/usr/share/${name}/*`);
const pullTimeoutMs = 180_000;

export interface BaseImage {
  /** In a few words, for the person who reads what the tests were run on. */
  readonly about: string;
  /** Whether it came here for this, and is to go. */
  readonly ours: boolean;
}

/** Sees to it that the base image of the Dockerfile is there. */
export async function provideBaseImage(
  docker: Docker,
  workplace: string,
  signal: AbortSignal,
): Promise<BaseImage> {
  const name = await baseName();
  if ((await docker.call(["image", "inspect", name])).status === 0) {
    return { about: `${name}, which was here`, ours: false };
  }
  const pulled = await docker.call(["pull", "--quiet", name], { timeoutMs: pullTimeoutMs, signal });
  if (pulled.status === 0) return { about: `${name}, pulled`, ours: true };
  const archive = await makeStandIn(workplace, signal);
  const path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  await docker.ask(["import", "--change", path, archive, name], { signal });
  await rm(archive);
  return {
    about: `a stand-in for ${name}, which cannot be had here: Debian ${release} and the project's Node`,
    ours: true,
  };
}

/** What every stage of the Dockerfile begins with. */
export async function baseName(): Promise<string> {
  const text = await readFile(join(projectDirectory, "Dockerfile"), "utf8");
  const stages = [...text.matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)];
  const own = new Set(stages.map(([, , stage]) => stage));
  const names = new Set(stages.map(([, from]) => from!).filter((from) => !own.has(from)));
  if (names.size !== 1) throw new Error(`The Dockerfile begins with ${[...names].join(" and ")}`);
  return [...names][0]!;
}

async function makeStandIn(workplace: string, signal: AbortSignal): Promise<string> {
  const addition = join(workplace, "base");
  const programs = join(addition, "usr", "local", "bin");
  await mkdir(programs, { recursive: true });
  await cp(join(projectDirectory, "node_modules", "node", "bin", "node"), join(programs, "node"));
  const modules = join(addition, "usr", "local", "lib", "node_modules");
  await unpackNpm(join(modules, "npm"), workplace, signal);
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(programs, "npm"));

  const archive = join(workplace, "base.tar");
  const options = ["--quiet", "--variant=minbase", ...unwanted.map((each) => `--dpkgopt=${each}`)];
  const lean = ['--aptopt=APT::Install-Recommends "false"', "--customize-hook=rm -rf $1/var/lib/apt/lists"];
  const made = run("mmdebstrap", [...options, ...lean, release, archive, ...(await mirrors())], { signal });
  made.child.stdin?.end();
  await made;
  // Without the folders above, which are there: an archive that names one twice is not imported.
  const members = ["bin/node", "bin/npm", "lib/node_modules"].map((name) => `./usr/local/${name}`);
  const owned = ["--owner=0", "--group=0", "--directory", addition];
  await run("tar", ["--append", "--file", archive, ...owned, ...members], { signal });
  await rm(addition, { recursive: true });
  return archive;
}

/** npm as its own package, because the one of this machine may be spread over it by a distribution. */
async function unpackNpm(directory: string, workplace: string, signal: AbortSignal): Promise<void> {
  const { stdout } = await run("npm", ["pack", "--silent", "npm@11", "--pack-destination", workplace], {
    signal,
  });
  const archive = join(workplace, stdout.trim());
  await mkdir(directory, { recursive: true });
  await run("tar", ["--extract", "--file", archive, "--directory", directory, "--strip-components=1"]);
  await rm(archive);
}

/** Where this machine gets Debian's packages of that release; none if it is another distribution. */
async function mirrors(): Promise<string[]> {
  const format = "$(ORIGIN) $(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)";
  const { stdout } = await run("apt-get", ["indextargets", "--format", format, "Identifier: Packages"]);
  const lines = stdout
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([origin, codename]) => origin === "Debian" && codename?.split("-")[0] === release)
    .map(([, codename, address, , component]) => `deb ${address} ${codename} ${component}`);
  return [...new Set(lines)];
}
