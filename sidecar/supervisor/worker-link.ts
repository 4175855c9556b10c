// The worker's end of the channel to its supervisor.

import type { MountOptions } from "../config/mount-options.ts";
import type { FromWorker, ServingReport, ToWorker } from "./messages.ts";

export interface WorkerHandlers {
  /** Check bucket and state, then call `ready` or `failed`. */
  onStart(options: MountOptions): void;
  /** Descriptor 3 is mounted: serve it, then call `serving`. */
  onMounted(): void;
  /** Refuse writes, drain, stop notifications, then call `drained`. Comes a second time with `hurry`. */
  onStop(hurry: boolean): void;
  /** No request will come any more: close everything and exit. */
  onUnmounted(): void;
  /** The supervisor is gone: drain, `unmountLazily` (mount-stack.ts), exit. Nobody will ask for it. */
  onOrphaned(): void;
}

export interface SupervisorLink {
  ready(): void;
  failed(message: string, exitCode: number, remedy?: string): void;
  serving(report: ServingReport): void;
  drained(owed: number): void;
}

/**
 * Listens to the supervisor. From now on the signals that a terminal or an init system sends to all processes of
 * a group at once do nothing here: the supervisor gets them too and says what is to be done. Once it is gone,
 * they mean what they always mean.
 */
export function connectToSupervisor(handlers: WorkerHandlers): SupervisorLink {
  if (process.send === undefined) throw new Error("this process was not started by a supervisor");
  const ignore = () => {};
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, ignore);
  process.on("message", (message) => receive(handlers, message as ToWorker));
  process.once("disconnect", () => {
    for (const signal of signals) process.off(signal, ignore);
    handlers.onOrphaned();
  });
  return {
    ready: () => say({ type: "ready" }),
    failed: (message, exitCode, remedy) =>
      say({ type: "failed", message, exitCode, ...(remedy !== undefined && { remedy }) }),
    serving: (report) => say({ type: "serving", ...report }),
    drained: (owed) => say({ type: "drained", owed }),
  };
}

function receive(handlers: WorkerHandlers, message: ToWorker): void {
  switch (message.type) {
    case "start":
      return handlers.onStart(message.options);
    case "mounted":
      return handlers.onMounted();
    case "stop":
      return handlers.onStop(message.hurry);
    case "unmounted":
      return handlers.onUnmounted();
  }
}

function say(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {}); // `disconnect` reports its loss
}
