// One JSON line per event on stdout: severity, time, message and fields; a readable form on a terminal.

import pino from "pino";

/** What every part gets to report events with: `log.info({ object, bytes }, "upload done")`. */
export type Log = pino.Logger;

const severityOf: Record<string, string> = {
  trace: "DEBUG",
  debug: "DEBUG",
  info: "INFO",
  warn: "WARNING",
  error: "ERROR",
  fatal: "CRITICAL",
};

/** The process-wide logger. `level` is one of pino's: debug, info, warn, error, silent. */
export function createLog(level: string): Log {
  return pino({
    level,
    messageKey: "message",
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ severity: severityOf[label] ?? "DEFAULT" }) },
  });
}
