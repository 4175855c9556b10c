// The docker command line, aimed at one engine.

import { spawn, spawnSync } from "node:child_process";

export interface Outcome {
  /** null if it was killed. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets the output as it comes, both streams. */
  readonly onOutput?: (text: string) => void;
}

/** docker ended with a status other than 0. */
export class DockerFailed extends Error {
  readonly outcome: Outcome;
  constructor(args: readonly string[], outcome: Outcome) {
    const said = (outcome.stderr || outcome.stdout).trimEnd();
    super(`docker ${args.join(" ")} ended with status ${outcome.status}:\n${said}`);
    this.outcome = outcome;
  }
}

export class Docker {
  readonly program: string;
  readonly host: string | undefined;

  /** `host` as in DOCKER_HOST; without it, the engine a person's own docker talks to. */
  constructor(program: string, host?: string) {
    this.program = program;
    this.host = host;
  }

  get #environment(): NodeJS.ProcessEnv {
    return { ...process.env, ...(this.host !== undefined && { DOCKER_HOST: this.host }) };
  }

  /** Runs `docker ARGS` to its end, whatever that is. One that takes too long is killed. */
  call(args: readonly string[], options: CallOptions = {}): Promise<Outcome> {
    const { environment, input, timeoutMs = 120_000, signal, onOutput } = options;
    return new Promise((resolve, reject) => {
      const child = spawn(this.program, args, {
        env: { ...this.#environment, ...environment },
        stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        ...(signal && { signal }),
      });
      const said = { stdout: "", stderr: "" };
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream]!.setEncoding("utf8").on("data", (text: string) => {
          said[stream] += text;
          onOutput?.(text);
        });
      }
      child.stdin?.end(input);
      child.once("error", reject);
      child.once("close", (status) => resolve({ status, ...said }));
    });
  }

  /** What `docker ARGS` says on stdout, without the last line end. Throws DockerFailed. */
  async ask(args: readonly string[], options?: CallOptions): Promise<string> {
    const outcome = await this.call(args, options);
    if (outcome.status !== 0) throw new DockerFailed(args, outcome);
    return outcome.stdout.trimEnd();
  }

  /** The same at once, for callers that cannot wait. */
  callNow(args: readonly string[]): Outcome {
    const { status, stdout, stderr } = spawnSync(this.program, args, {
      env: this.#environment,
      encoding: "utf8",
      maxBuffer: 64 * 1024 ** 2,
    });
    return { status, stdout, stderr };
  }
}
