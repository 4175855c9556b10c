// Runs one program to its end. Signals sent to us are passed on to it, and we stay until it has finished
// what it does about them: only then is its terminal, its mount and its port free.

import { spawn } from "node:child_process";
import { constants } from "node:os";

const forwarded = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * Resolves with the exit status, 128 + the number of the signal if one ended it. `onStdout` and `onStderr`
 * get its output in pieces; without them it goes straight to ours.
 */
export function runToEnd(program, args, { onStdout, onStderr, env = process.env, cwd } = {}) {
  return new Promise((resolve) => {
    const stdio = ["inherit", onStdout ? "pipe" : "inherit", onStderr ? "pipe" : "inherit"];
    const child = spawn(program, args, { stdio, env, cwd });
    child.stdout?.setEncoding("utf8").on("data", onStdout);
    child.stderr?.setEncoding("utf8").on("data", onStderr);

    const handlers = forwarded.map((signal) => [signal, () => child.kill(signal)]);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    const finish = (status) => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
      resolve(status);
    };

    child.on("error", (error) => {
      console.error(`${program} could not be started: ${error.message}`);
      finish(127);
    });
    child.on("close", (code, signal) => finish(code ?? 128 + constants.signals[signal]));
  });
}

/** Calls `onLine` for each whole line of a stream that arrives in pieces; `end` for what has no line end. */
export function lines(onLine) {
  let rest = "";
  return {
    push(text) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) onLine(part);
    },
    end() {
      if (rest !== "") onLine(rest);
      rest = "";
    },
  };
}
