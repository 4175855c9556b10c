// Signals a person or an init system sends, as one stream for as long as somebody listens.

import { constants } from "node:os";

export const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Calls `handle` for each of `signals` instead of what the process would do by itself. */
export function onSignals(
  signals: readonly NodeJS.Signals[],
  handle: (signal: NodeJS.Signals) => void,
): Disposable {
  for (const signal of signals) process.on(signal, handle);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, handle);
    },
  };
}

/** The exit status by which a shell reports a process that a signal ended. */
export function statusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
