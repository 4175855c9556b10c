// The worker's end of the channel to its supervisor.

import type { FromWorker, ServingReport, ToWorker } from "./messages.ts";

export type StartMessage = Extract<ToWorker, { type: "start" }>;

export interface WorkerHandlers {
  /** Check bucket and state, then call `ready` or `failed`. */
  onStart(start: StartMessage): void;
  /** Descriptor 3 is mounted: serve it, then call `serving`. */
  onMounted(): void;
  /** Refuse writes, drain, stop notifications, then call `drained`. Comes a second time with `hurry`. */
  onStop(hurry: boolean): void;
  /** No request will come any more: close everything and exit. */
  onUnmounted(): void;
  /** The supervisor is gone: drain, `detachServed` (mount-stack.ts), exit. Nobody will ask for it. */
  onOrphaned(): void;
}

export interface SupervisorLink {
  ready(): void;
  failed(message: string, exitCode: number, remedy?: string): void;
  serving(report: ServingReport): void;
  /** `answered`: requests so far. */
  alive(answered: number): void;
  /** What a later worker would need cannot be kept any more. */
  irreplaceable(): void;
  /**
   * Has the supervisor write a notification to the device of mount number `mount`. EPIPE: it cannot. ENOTCONN: it is gone, and
   * nobody may write it any more. The mount will be, too, and a notification that waits here would be in the way.
   */
  notify(mount: number, bytes: Buffer, done: Notified): void;
  /** Somebody wants the code that is on disk to serve. */
  askForUpgrade(): void;
  drained(owed: number): void;
}

type Notified = (error: { readonly code: string } | null) => void;

/** What the supervisor has been asked to tell the kernel, and has not told yet. */
class Notifications {
  readonly #asked = new Map<number, Notified>();
  #nextId = 0;

  ask(mount: number, bytes: Buffer, done: Notified): void {
    if (!process.connected) return done({ code: "ENOTCONN" });
    const id = this.#nextId++;
    this.#asked.set(id, done);
    say({ type: "notify", id, mount, bytes: bytes.toString("base64") });
  }

  answered(id: number, code: string | undefined): void {
    const done = this.#asked.get(id);
    this.#asked.delete(id);
    done?.(code === undefined ? null : { code });
  }

  /** Nobody will answer any more. */
  giveUp(): void {
    for (const id of this.#asked.keys()) this.answered(id, "ENOTCONN");
  }
}

/**
 * Listens to the supervisor. From now on the signals that a terminal or an init system sends to all processes of
 * a group at once do nothing here: the supervisor gets them too and says what is to be done. Once it is gone,
 * they mean what they always mean. `handoverVersion`: of the database that this code understands.
 */
export function connectToSupervisor(handlers: WorkerHandlers, handoverVersion: number): SupervisorLink {
  if (process.send === undefined) throw new Error("this process was not started by a supervisor");
  const ignore = () => {};
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, ignore);
  const notifications = new Notifications();
  process.on("message", (message: ToWorker) => {
    if (message.type === "notified") notifications.answered(message.id, message.code);
    else receive(handlers, message);
  });
  process.once("disconnect", () => {
    for (const signal of signals) process.off(signal, ignore);
    notifications.giveUp();
    handlers.onOrphaned();
  });
  say({ type: "loaded", handoverVersion });
  return {
    ready: () => say({ type: "ready" }),
    failed: (message, exitCode, remedy) =>
      say({ type: "failed", message, exitCode, ...(remedy !== undefined && { remedy }) }),
    serving: (report) => say({ type: "serving", ...report }),
    alive: (answered) => say({ type: "alive", answered }),
    irreplaceable: () => say({ type: "irreplaceable" }),
    notify: (mount, bytes, done) => notifications.ask(mount, bytes, done),
    askForUpgrade: () => say({ type: "upgrade" }),
    drained: (owed) => say({ type: "drained", owed }),
  };
}

function receive(handlers: WorkerHandlers, message: Exclude<ToWorker, { type: "notified" }>): void {
  switch (message.type) {
    case "start":
      return handlers.onStart(message);
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
