// From the words of a command line to an exit code.

import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline/promises";
import { isatty } from "node:tty";

import { CommanderError } from "commander";

import type { Machine } from "../config/option-table.ts";
import {
  misspelledEnvironment,
  resolveMountOptions,
  type Environment,
  type Typed,
} from "../config/resolve.ts";
import { UsageError } from "../config/usage-error.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import type { Doors } from "./doors.ts";
import { exec } from "./exec.ts";
import { exitCodes, explain } from "./failure.ts";
import { localGcs } from "./local-gcs.ts";
import { mount } from "./mount.ts";
import { pending } from "./pending.ts";
import { createProgram, type Commands } from "./program.ts";
import { status } from "./status.ts";

/** Runs what `words` say (`process.argv` without the first two) and answers with the exit code. */
export async function run(words: readonly string[], environment: Environment, doors: Doors): Promise<number> {
  // What stands behind the first -- is the command's own and not ours to read.
  const split = words[0] === "exec" ? words.indexOf("--") : -1;
  const ours = split === -1 ? words : words.slice(0, split);
  const command = split === -1 ? [] : words.slice(split + 1);
  let exitCode: number = exitCodes.done;
  const program = createProgram(
    version(),
    commandsOf(command, environment, doors),
    (code) => (exitCode = code),
  );
  for (const each of [program, ...program.commands]) {
    each.configureOutput({ outputError: () => {} }).exitOverride();
  }
  try {
    if (ours.length === 0) program.outputHelp();
    else await program.parseAsync([...ours], { from: "user" });
    return ours.length === 0 ? exitCodes.usage : exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
    return report(error instanceof CommanderError ? understood(error, ours[0]) : error, ours[0]);
  }
}

function commandsOf(command: readonly string[], environment: Environment, doors: Doors): Commands {
  return {
    async mount(typed) {
      const options = resolveMountOptions(typed, environment, thisMachine());
      return await mount(options, warned(createLog(options.logLevel), environment), doors);
    },
    async exec(typed) {
      if (command.length === 0) throw missingCommand(typed);
      const options = {
        ...resolveMountOptions(typed, environment, thisMachine()),
        logDescriptor: 2 as const,
      };
      return await exec(options, command, warned(createLog(options.logLevel, 2), environment), doors);
    },
    async localGcs(directory, flags) {
      const speak = isatty(1) ? (text: string) => console.log(text) : undefined;
      return await localGcs(
        directory,
        flags,
        createLog(environment["SIDEMOUNT_LOG_LEVEL"] || "info"),
        doors,
        speak,
      );
    },
    async status(directory, flags) {
      const at = directory === undefined ? undefined : path.resolve(directory);
      return await status(at, flags, doors, write);
    },
    async pending(directory, flags) {
      const at = directory === undefined ? undefined : path.resolve(directory);
      const { stateDir, save } = flags;
      const places = {
        ...(stateDir === undefined ? {} : { stateDir: path.resolve(stateDir) }),
        ...(save === undefined ? {} : { save: path.resolve(save) }),
      };
      return await pending(at, { ...flags, ...places }, doors, { write, note, confirm });
    },
    async unmount(directory) {
      await doors.unmountDirectory(path.resolve(directory));
      console.log(`Unmounted ${path.resolve(directory)}.`);
      return exitCodes.done;
    },
    async upgrade(directory) {
      const { before, now } = await doors.upgradeMount(path.resolve(directory));
      console.log(`${path.resolve(directory)} is served by process ${now} in place of ${before}.`);
      return exitCodes.done;
    },
  };
}

function write(line: string): void {
  console.log(line);
}

function note(line: string): void {
  console.error(line);
}

async function confirm(question: string): Promise<boolean | undefined> {
  if (!isatty(0) || !isatty(2)) return undefined;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}

function thisMachine(): Machine {
  return {
    uid: process.getuid!(),
    gid: process.getgid!(),
    workingDirectory: process.cwd(),
    passwd: readFileSync("/etc/passwd", "utf8"),
    group: readFileSync("/etc/group", "utf8"),
  };
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function warned(log: Log, environment: Environment): Log {
  for (const { name, meant } of misspelledEnvironment(environment)) {
    log.warn({ name, meant }, "an environment variable has a name that means nothing here");
  }
  return log;
}

function missingCommand(typed: Typed): UsageError {
  return new UsageError(
    "There is no command to run.",
    `Put it behind two dashes: sidemount exec ${typed.operands.slice(0, 2).join(" ") || "BUCKET DIR"} -- COMMAND`,
  );
}

// Commander says `error: unknown option '--x'` and, on a line of its own, `(Did you mean --y?)`.
function understood(error: CommanderError, command: string | undefined): UsageError {
  const [fault = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const known = ["mount", "exec", "local-gcs", "status", "pending", "unmount", "upgrade"].includes(
    command ?? "",
  );
  return new UsageError(
    `${fault.charAt(0).toUpperCase()}${fault.slice(1)}.`,
    suggestion?.replace(/^\((.*)\)$/, "$1") ?? `See sidemount ${known ? `${command} ` : ""}--help.`,
  );
}

/** One sentence and its remedy for the person on stderr; the same as a log line where stdout is being collected. */
function report(error: unknown, command: string | undefined): number {
  const { message, remedy, exitCode } = explain(error);
  console.error(`sidemount: ${message}${remedy === undefined ? "" : `\n           ${remedy}`}`);
  // What goes wrong later in `mount` is logged by those it happens to.
  const unlogged = command === "local-gcs" || (command === "mount" && error instanceof UsageError);
  if (unlogged && !isatty(1)) {
    createLog("error").error({ reason: message, remedy, err: error }, "could not start");
  }
  return exitCode;
}
