// `sidemount exec`: a command that lives inside the life of a mount.
//
// The command starts only once the folder is live, and the folder goes only once the command has ended. Signals
// are for the command; what it does with them decides when the mount ends.

import { spawn, type ChildProcess } from "node:child_process";

import type { MountOptions, ReadyMount } from "../config/mount-options.ts";
import type { Log } from "../telemetry/log.ts";
import type { Doors } from "./doors.ts";
import { onSignals, statusOf } from "./signals.ts";

const forwarded = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const;
const ending: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGQUIT"];
// A terminal sends these to every process of the foreground group: the command has them already.
const fromTerminal: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT", "SIGHUP", "SIGWINCH"];

// A command whose folder is gone gets errors from every call; it can only tidy up elsewhere.
const graceAfterLossMs = 10_000;

type MountEnd = { readonly code: number } | { readonly error: unknown };

/** Answers with the command's exit status (128 + number of the signal that ended it), or the mount's if that failed. */
export async function exec(
  options: MountOptions,
  command: readonly string[],
  log: Log,
  { runMount }: Pick<Doors, "runMount">,
): Promise<number> {
  const ready = Promise.withResolvers<ReadyMount>();
  const stop = new AbortController();
  const hurry = new AbortController();
  let child: ChildProcess | undefined;
  let asked: NodeJS.Signals | undefined;
  using _ = onSignals(forwarded, (signal) => {
    if (ending.includes(signal)) asked ??= signal;
    if (stop.signal.aborted) {
      hurry.abort();
    } else if (child === undefined) {
      if (asked !== undefined) stop.abort();
    } else if (!process.stdin.isTTY || !fromTerminal.includes(signal)) {
      child.kill(signal);
    }
    if (child !== undefined && asked === signal) killLater(child, options.drainTimeoutMs);
  });

  const mounted: Promise<MountEnd> = runMount(options, log, {
    onReady: (how) => ready.resolve(how),
    stop: stop.signal,
    hurry: hurry.signal,
  }).then(
    (code) => ({ code }),
    (error: unknown) => ({ error }),
  );
  const start = await Promise.race([ready.promise, mounted]);
  if (asked !== undefined) {
    stop.abort();
    await mounted;
    return statusOf(asked);
  }
  if (!("servedHere" in start)) return failure(start);

  child = start.servedHere ? startThroughShell(command) : startDirectly(command);
  const ended = statusOfChild(child, command[0]!);
  const first = await Promise.race([ended, mounted]);
  if (typeof first !== "number") {
    log.error({ command: command[0] }, "the mount was lost: stopping the command");
    child.kill("SIGTERM");
    killLater(child, graceAfterLossMs);
    await ended;
    return failure(first);
  }
  stop.abort();
  const end = await mounted;
  if (first !== 0) return first;
  return "error" in end ? failure(end) : end.code;
}

// The working directory may be the mount point itself: by its path it is the mounted folder, while our own working
// directory is the one that lies beneath.
function startDirectly(command: readonly string[]): ChildProcess {
  return spawn(command[0]!, command.slice(1), { stdio: "inherit", cwd: process.cwd() });
}

// Starting a program waits until it is in its working directory and has been read. Where this process serves the folder
// that may lie in, it would wait for itself; so a shell is started elsewhere, which goes there and becomes the command.
function startThroughShell(command: readonly string[]): ChildProcess {
  const script = 'cd -- "$1" && shift && exec "$@"';
  const words = ["-c", script, "sidemount", process.cwd(), ...command];
  return spawn("/bin/sh", words, { stdio: "inherit", cwd: "/" });
}

// A mount that ends by itself has failed, whatever it says.
function failure(end: MountEnd): number {
  if ("error" in end) throw end.error;
  return end.code || 1;
}

function killLater(child: ChildProcess, afterMs: number): void {
  const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
  child.once("exit", () => clearTimeout(timer));
}

// As shells do: 127 when there is no such command, 126 when it cannot be run.
function statusOfChild(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return; // a signal could not be delivered: it has ended
      const missing = error.code === "ENOENT";
      console.error(`sidemount: ${name}: ${missing ? "there is no such command" : error.message}.`);
      resolve(missing ? 127 : 126);
    });
    child.once("exit", (code, signal) => resolve(code ?? statusOf(signal!)));
  });
}
