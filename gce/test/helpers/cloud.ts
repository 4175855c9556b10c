// The scripts of gce/vm against a gcloud and a docker that only pretend.

import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import type { ExecutionContext } from "ava";

import { emptyState, type State } from "../fake/gcloud.ts";

export const top = fileURLToPath(new URL("../../../", import.meta.url)).replace(/\/$/, "");

/** Where scripts/run/deploy-tools.mjs puts what it brings. */
export const tools = path.join(top, ".sidemount/tools");

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Cloud {
  readonly folder: string;
  readonly #state: string;

  constructor(t: ExecutionContext) {
    this.folder = mkdtempSync(path.join(os.tmpdir(), "sidemount-deploy-"));
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    this.#state = path.join(this.folder, "state.json");
    this.change({});
    const fake = fileURLToPath(new URL("../fake/gcloud.ts", import.meta.url));
    this.#program("gcloud", `exec "${process.execPath}" "${fake}" "$@"`);
    this.#program("docker", `printf '%s\\n' "docker $*" >>"${this.folder}/docker.log"`);
    this.#program("curl", "exit 0");
  }

  #program(name: string, line: string): void {
    const file = path.join(this.folder, name);
    writeFileSync(file, `#!/bin/sh\n${line}\n`);
    chmodSync(file, 0o755);
  }

  get state(): State {
    return JSON.parse(readFileSync(this.#state, "utf8")) as State;
  }

  change(changes: Partial<State>): void {
    writeFileSync(this.#state, JSON.stringify({ ...this.#stateOrEmpty(), ...changes }));
  }

  #stateOrEmpty(): State {
    return existsSync(this.#state) ? this.state : emptyState;
  }

  /** What gcloud was asked since the last call, without looks at what is there. */
  made(): string[] {
    const { calls } = this.state;
    this.change({ calls: [] });
    return calls.filter((call) => !/ describe /.test(` ${call} `));
  }

  get docker(): string[] {
    return readFileSync(path.join(this.folder, "docker.log"), "utf8").trimEnd().split("\n");
  }

  run(script: string, ...words: string[]): Promise<Outcome> {
    return runProgram("/bin/bash", [path.join(top, "gce/vm", script), ...words], {
      env: { PATH: `${this.folder}:/usr/bin:/bin`, FAKE_GCLOUD_STATE: this.#state, RETRY_SECONDS: "0" },
    });
  }
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** Runs a program to its end. */
export function runProgram(
  program: string,
  words: readonly string[],
  { env = process.env, cwd = "/", input = "" }: Surroundings = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(program, words, { env, cwd, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : (child.exitCode ?? 128), stdout, stderr });
    });
    child.stdin?.on("error", () => {}).end(input); // whoever does not read it may have ended
  });
}

/** A dry run, in a world without any of the programs it speaks of. */
export function dryRun(script: string, ...words: string[]): Promise<Outcome> {
  const options = ["--project", "acme-photos", "--dry-run", ...words];
  const file = path.join(top, "gce/vm", script);
  return runProgram("/bin/bash", [file, ...options], { env: { PATH: "/usr/bin:/bin" } });
}
