// The worker as its supervisor sees it: a child process with the device's descriptor and a channel for messages.

import { type ChildProcess, spawn } from "node:child_process";

import { type FromWorker, type ToWorker } from "./messages.ts";

// Threads of the worker's libuv pool: 16 for files, 8 for looks at processes that may wait for us, the rest for what goes to
// the kernel, name resolution and compression. Requests need none, they are read by the event loop.
export const POOL_THREADS = 28;

/** How the worker ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The worker said that it cannot serve. */
export class WorkerFailed extends Error {
  override readonly name = "WorkerFailed";
  readonly exitCode: number;
  readonly remedy: string | undefined;

  constructor(message: string, exitCode: number, remedy?: string) {
    super(message);
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}

export class WorkerProcess {
  /**
   * Resolves once the process is gone and reaped. Only then may another one open the state it had (RULES 20).
   */
  readonly ended: Promise<WorkerEnd>;
  readonly #child: ChildProcess;
  readonly #messages = new Map<FromWorker["type"], PromiseWithResolvers<FromWorker>>();
  readonly #failed = Promise.withResolvers<never>();
  #end: WorkerEnd | undefined;
  /** When it was last heard of, by our monotonic clock. */
  heardMs = performance.now();
  /** It wants a notification written to the device of mount number `mount`. */
  onNotify: ((mount: number, bytes: Buffer, done: (code?: string) => void) => void) | undefined;
  /** It was asked to give way to the code that is on disk. */
  onUpgrade: (() => void) | undefined;
  /** It has its code loaded. */
  loaded = false;
  /** It cannot leave anything to another one. */
  irreplaceable = false;
  /** Requests it has answered, as it last said. */
  answered = 0;

  /** Starts it. `environment` is its whole environment; `devices` are the app's mount's and the serve mount's. */
  constructor(
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
    devices: readonly number[],
  ) {
    const [program = "", ...rest] = command;
    const [device, serveDevice] = devices;
    this.#child = spawn(program, rest, {
      // Positions are numbers of descriptors there: see messages.ts.
      stdio: ["ignore", "inherit", "inherit", device ?? "ignore", "ipc", serveDevice ?? "ignore"],
      env: { ...environment, UV_THREADPOOL_SIZE: String(POOL_THREADS) },
    });
    this.#failed.promise.catch(() => {}); // reported by whoever expects a message
    this.ended = new Promise((resolve) => {
      this.#child.on("error", (error) => {
        if (this.#child.pid === undefined) this.#over({ code: 127, signal: null }, resolve, error.message);
      });
      this.#child.on("exit", (code, signal) => this.#over({ code, signal }, resolve));
    });
    this.#child.on("message", (message) => this.#receive(message as FromWorker));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#end === undefined;
  }

  /** Resolves with the first message of that type, even if it came before; rejects if the worker fails or ends. */
  expect<Type extends FromWorker["type"]>(type: Type): Promise<Extract<FromWorker, { type: Type }>> {
    const message = this.#message(type).promise as Promise<Extract<FromWorker, { type: Type }>>;
    return Promise.race([message, this.#failed.promise]);
  }

  #message(type: FromWorker["type"]): PromiseWithResolvers<FromWorker> {
    const known = this.#messages.get(type);
    if (known !== undefined) return known;
    const added = Promise.withResolvers<FromWorker>();
    this.#messages.set(type, added);
    return added;
  }

  /** Says something to the worker; a worker that is gone hears nothing. */
  send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  #receive(message: FromWorker): void {
    this.heardMs = performance.now();
    if (message.type === "loaded") this.loaded = true;
    if (message.type === "irreplaceable") this.irreplaceable = true;
    if (message.type === "upgrade") this.onUpgrade?.();
    if (message.type === "notify") {
      const { id, mount, bytes } = message;
      this.onNotify?.(mount, Buffer.from(bytes, "base64"), (code) =>
        this.send({ type: "notified", id, code }),
      );
      return;
    }
    if (message.type === "alive") {
      this.answered = message.answered;
      return;
    }
    if (message.type === "failed") {
      return this.#failed.reject(new WorkerFailed(message.message, message.exitCode, message.remedy));
    }
    this.#message(message.type).resolve(message);
  }

  #over(end: WorkerEnd, resolve: (end: WorkerEnd) => void, reason?: string): void {
    this.#end ??= end;
    this.#failed.reject(new WorkerFailed(`the worker ended: ${reason ?? describeEnd(end)}`, 1));
    resolve(end);
  }
}

/** "exit code 3" or "SIGKILL". */
export function describeEnd({ code, signal }: WorkerEnd): string {
  return signal ?? `exit code ${code}`;
}
