// Programs run as a person at a shell would run them.

import { spawn } from "node:child_process";

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly user?: string;
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
}

/** Runs a program to its end, as `user` if given. One that takes too long is killed and has no status. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { user, cwd = "/", environment, timeoutMs = 60_000 } = options;
  const [program = "", ...args] =
    user === undefined
      ? command
      : ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", ...command];
  const env = { PATH: process.env["PATH"], LANG: "C.UTF-8", ...environment };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}
