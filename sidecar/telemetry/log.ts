// One JSON line per event: severity, time, message and fields; a readable form on a terminal.
//
// Whatever is logged passes through `loggable` (fields, by name and type) and `withoutSecrets` (the finished
// line, by pattern), so that no part has to think of either.

import { createRequire } from "node:module";
import { isatty } from "node:tty";

import pino from "pino";

import { PatientWriter } from "../lib/patient-writer.ts";
import { loggable } from "./loggable.ts";
import { withoutSecrets } from "./secrets.ts";

/** What every part gets to report events with: `log.info({ object, bytes }, "upload done")`. */
export type Log = pino.Logger;

/** Where finished lines go. */
export interface LogDestination {
  write(line: string): void;
}

const severityOf: Record<string, string> = {
  trace: "DEBUG",
  debug: "DEBUG",
  info: "INFO",
  warn: "WARNING",
  error: "ERROR",
  fatal: "CRITICAL",
};

/**
 * A process's logger. `level` is one of pino's: debug, info, warn, error, silent. Lines go to stdout unless
 * another descriptor or destination is given; a descriptor that is a terminal gets the readable form.
 */
export function createLog(level: string, to: LogDestination | 1 | 2 = 1): Log {
  const destination = typeof to === "number" ? openDescriptor(to) : to;
  const log: Log = pino(
    {
      level,
      messageKey: "message",
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: {
        level: (label) => ({ severity: severityOf[label] ?? "DEFAULT" }),
        log: loggable,
      },
      serializers: { err: (error: unknown) => error }, // `loggable` has made fields of it
    },
    { write: (line: string) => destination.write(withoutSecrets(line)) },
  );
  // formatters.log sees the fields of a call only; those of a child are written once, when it is made.
  const { child } = Object.getPrototypeOf(log) as { child: (this: Log, ...given: unknown[]) => Log };
  const loggableChild = function (this: Log, bindings: object, ...rest: unknown[]) {
    return child.call(this, loggable(bindings), ...rest);
  };
  Object.assign(log, { child: loggableChild });
  return log;
}

// Written at once: a line that was logged before a crash is a line that can be read after it. But nobody waits for a
// reader that does not read.
function openDescriptor(descriptor: 1 | 2): LogDestination {
  if (!isatty(descriptor)) return (writers[descriptor] ??= new PatientWriter(descriptor, lost));
  // Loaded on terminals only: a service pays neither its time nor its memory.
  const pretty = createRequire(import.meta.url)("pino-pretty") as (options: object) => LogDestination;
  return pretty({
    destination: descriptor,
    sync: true,
    messageKey: "message",
    levelKey: "severity",
    customLevels: { DEBUG: 20, INFO: 30, WARNING: 40, ERROR: 50, CRITICAL: 60 },
    customColors: { DEBUG: "gray", INFO: "green", WARNING: "yellow", ERROR: "red", CRITICAL: "red" },
    useOnlyCustomProps: false,
    translateTime: "SYS:HH:MM:ss",
    singleLine: true,
  });
}

/** One for each descriptor: what it keeps must not be overtaken. */
const writers: Partial<Record<1 | 2, PatientWriter>> = {};

function lost(lines: number): string {
  const time = new Date().toISOString();
  const message = "lines of this log were lost, because nobody read it fast enough";
  return `${JSON.stringify({ severity: "WARNING", time, lines, message })}\n`;
}
