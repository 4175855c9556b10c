// One container, as whoever operates it sees it.

import { setTimeout as sleep } from "node:timers/promises";

import { Docker, DockerFailed, type Outcome } from "../../../scripts/container/docker.ts";
import { labels, runName } from "../../../scripts/container/names.ts";

/** The engine which `npm run test:container` has found or started. */
export const docker = new Docker(process.env["SIDEMOUNT_CONTAINER_DOCKER"] ?? "docker");

/** What mounting needs, as README and docs/OPERATING.md say it. */
export const MOUNTING = [
  "--device",
  "/dev/fuse",
  "--cap-add",
  "SYS_ADMIN",
  "--security-opt",
  "apparmor=unconfined",
];

let count = 0;

/** A name nobody else has. */
export function freshName(what: string): string {
  count += 1;
  return `${runName()}-${process.pid}-${what}-${count}`;
}

export interface ContainerSettings {
  readonly image: string;
  /** Options of `docker run`. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Words behind the image. */
  readonly args?: readonly string[];
  readonly name?: string;
}

interface State {
  readonly Status: string;
  readonly ExitCode: number;
  readonly Pid: number;
  readonly Health?: { readonly Status: string; readonly Log: readonly { readonly Output: string }[] };
}

export interface Process {
  readonly pid: number;
  /** By name or number, as this machine knows it. */
  readonly user: string;
  readonly command: string;
}

export class Container {
  readonly name: string;
  wasKilled = false;

  private constructor(name: string) {
    this.name = name;
  }

  /** `docker run --detach` with these settings. */
  static async run(settings: ContainerSettings): Promise<Container> {
    const name = settings.name ?? freshName("container");
    await docker.ask(["run", "--detach", ...wordsFor(name, settings)]);
    return new Container(name);
  }

  /** `docker create`: for those who want to put something into it before it starts. */
  static async create(settings: ContainerSettings): Promise<Container> {
    const name = settings.name ?? freshName("container");
    await docker.ask(["create", ...wordsFor(name, settings)]);
    return new Container(name);
  }

  /** `docker run` with words that end in the image and its arguments. */
  static async fromWords(name: string, words: readonly string[]): Promise<Container> {
    await docker.ask(["run", "--detach", "--name", name, ...words]);
    return new Container(name);
  }

  async start(): Promise<void> {
    await docker.ask(["start", this.name]);
  }

  async state(): Promise<State> {
    return JSON.parse(await docker.ask(["inspect", "--format", "{{json .State}}", this.name])) as State;
  }

  /** Resolves with the exit status once it has ended by itself. A time of 0 is without limit. */
  async ended(timeoutMs = 60_000): Promise<number> {
    return Number(await docker.ask(["wait", this.name], { timeoutMs }));
  }

  /** `docker stop`, as an orchestrator does it. Answers with the exit status. */
  async stop(seconds = 60): Promise<number> {
    await docker.ask(["stop", "--time", String(seconds), this.name]);
    return (await this.state()).ExitCode;
  }

  /** Kills all of it at once, as the end of its machine would. */
  async kill(): Promise<void> {
    this.wasKilled = true;
    const outcome = await docker.call(["kill", this.name]);
    if (outcome.status !== 0 && !/is not running|No such container/.test(outcome.stderr)) {
      throw new DockerFailed(["kill", this.name], outcome);
    }
  }

  /** Removes it with the volumes nobody named. Kills it first if it runs. */
  async remove(): Promise<void> {
    await docker.call(["rm", "--force", "--volumes", this.name]);
  }

  /** Runs a command in it, as `user` if given. */
  exec(
    command: readonly string[],
    { user, input }: { user?: string; input?: string } = {},
  ): Promise<Outcome> {
    const interactive = input === undefined ? [] : ["--interactive"];
    const as = user === undefined ? [] : ["--user", user];
    return docker.call(["exec", ...interactive, ...as, this.name, ...command], {
      ...(input !== undefined && { input }),
    });
  }

  /** What it has written, by stream. */
  logs(): { readonly stdout: string; readonly stderr: string } {
    return docker.callNow(["logs", this.name]);
  }

  /** Its processes, by their numbers on this machine. */
  async processes(): Promise<Process[]> {
    const table = await docker.ask(["top", this.name, "-eo", "pid,user:20,args"]);
    return table
      .split("\n")
      .slice(1)
      .map((line) => /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map(([, pid, user, command]) => ({ pid: Number(pid), user: user!, command: command! }));
  }

  /** The only process of it whose command line matches. */
  async process(pattern: RegExp): Promise<Process> {
    const found = (await this.processes()).filter(({ command }) => pattern.test(command));
    if (found.length !== 1) throw new Error(`${found.length} processes of ${this.name} match ${pattern}`);
    return found[0]!;
  }
}

function wordsFor(name: string, settings: ContainerSettings): string[] {
  const { image, flags = [], environment = {}, args = [] } = settings;
  const variables = Object.entries(environment).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  return ["--name", name, ...labels(), ...flags, ...variables, image, ...args];
}

/** Asks until `ask` answers something, or fails with `what` after the time. */
export async function eventually<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined> | Answer | undefined,
  timeoutMs = 30_000,
): Promise<Answer> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(50);
  }
}
