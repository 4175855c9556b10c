// Writes workers' notifications of names to the kernel (RULES 27).
//
// One may wait there for a folder's lock, which a request holds that a worker has to answer, and while it waits nothing ends
// its thread. In a worker, that kept it from being gone when it was killed, so that no other took over. Here it lasts until
// the next worker has answered, or the mount is gone. If this process is killed as well, nothing may depend on such a thread:
// see notification-thread.ts.

import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "node:worker_threads";

import { withoutSignals } from "../lib/system-calls.ts";
import { startThread } from "../lib/thread.ts";
import type { Log } from "../telemetry/log.ts";

/** Notifications that may wait in the kernel at once: each has a thread, which is started when it is needed. */
const THREADS_MAX = 3;

/** What a thread is asked for. `mount`: the position of its device among those of `NotificationDevices`. */
export interface NotificationRequest {
  readonly mount: number;
  readonly bytes: Uint8Array;
}

/** What a thread answers: nothing, or the error's code. */
export interface NotificationAnswer {
  readonly code?: string;
}

/** What it says first: it is ready. */
export type Started = "started";

/** The descriptors of /dev/fuse that a thread is started with. */
export interface NotificationDevices {
  readonly devices: readonly number[];
}

type Done = (code?: string) => void;

interface Waiting extends NotificationRequest {
  readonly done: Done;
}

class Thread {
  readonly #worker: Worker;
  /** Settled once it has started, or will not any more. */
  readonly #begun = Promise.withResolvers<void>();
  #writing: Waiting | undefined;

  /** `onLost`: it has ended, and has not written `unwritten`. Throws where the machine gives us no thread. */
  constructor(
    devices: NotificationDevices,
    onIdle: () => void,
    onLost: (error: unknown, thread: Thread, unwritten: Waiting | undefined) => void,
  ) {
    // A signal would come to a thread without the pipe by which Node passes it on.
    this.#worker = withoutSignals(() =>
      startThread(new URL("./notification-thread.ts", import.meta.url), {
        workerData: devices,
        trackUnmanagedFds: false, // it closes what it has not opened
        resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 }, // of garbage
      }),
    );
    this.#worker.unref();
    this.#worker.on("message", (said: NotificationAnswer | Started) => {
      if (said === "started") return this.#begun.resolve();
      this.#taken()?.done(said.code);
      onIdle();
    });
    this.#worker.on("exit", () => this.#begun.resolve());
    this.#worker.on("error", (error) => onLost(error, this, this.#taken()));
  }

  get busy(): boolean {
    return this.#writing !== undefined;
  }

  write(waiting: Waiting): void {
    this.#writing = waiting;
    const own = new Uint8Array(waiting.bytes); // a Buffer is part of a larger one, all of which would be copied
    const request: NotificationRequest = { mount: waiting.mount, bytes: own };
    this.#worker.postMessage(request, [own.buffer]);
  }

  /** A thread that is ended while it loads its code takes the process down: Node aborts. */
  async end(): Promise<void> {
    this.#worker.ref();
    await this.#begun.promise;
    await this.#worker.terminate();
  }

  #taken(): Waiting | undefined {
    const writing = this.#writing;
    this.#writing = undefined;
    return writing;
  }
}

export class NameNotifications {
  readonly #log: Log;
  readonly #devices: NotificationDevices;
  readonly #waiting: Waiting[] = [];
  readonly #threads: Thread[] = [];
  #threadsMax = THREADS_MAX;

  /** `devices`: of the mounts, in the order in which workers number them. */
  constructor(devices: readonly number[], log: Log) {
    this.#devices = { devices };
    this.#log = log;
  }

  /** Starts a thread now, so that the first notification need not wait for that. The devices must be mounted. */
  prepare(): void {
    if (this.#threads.length === 0) this.#anotherThread();
  }

  /** `done` is told the error's code if it was refused; EPIPE means that this process cannot write any. */
  write(mount: number, bytes: Uint8Array, done: Done): void {
    if (this.#threadsMax === 0) return done("EPIPE");
    this.#waiting.push({ mount, bytes, done });
    this.#next();
  }

  /**
   * To be called when no worker is left and this process has closed its devices, so that what was read from them and holds up
   * a notification has come to its end. With the threads goes what they hold of the mounts. Resolves when they are gone, or
   * after `limitMs`.
   */
  async end(limitMs: number): Promise<void> {
    this.#waiting.length = 0;
    const ended = Promise.all(this.#threads.splice(0).map((thread) => thread.end()));
    await Promise.race([ended, delay(limitMs, undefined, { ref: false })]);
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#threads.find(({ busy }) => !busy) ?? this.#anotherThread();
      if (thread === undefined) return;
      thread.write(this.#waiting.shift() as Waiting);
    }
  }

  #anotherThread(): Thread | undefined {
    if (this.#threads.length >= this.#threadsMax) return undefined;
    try {
      const thread = new Thread(
        this.#devices,
        () => this.#next(),
        (error, lost, unwritten) => this.#goOnWithout(error, lost, unwritten),
      );
      this.#threads.push(thread);
      return thread;
    } catch (error) {
      this.#goOnWithout(error);
      return undefined;
    }
  }

  /** One could not be started, or has ended: no more are, and without any the workers write by themselves. */
  #goOnWithout(error: unknown, lost?: Thread, unwritten?: Waiting): void {
    if (lost !== undefined) {
      const index = this.#threads.indexOf(lost);
      if (index < 0) return; // it was still starting when all was over
      this.#threads.splice(index, 1);
    }
    if (unwritten !== undefined) this.#waiting.unshift(unwritten);
    this.#threadsMax = this.#threads.length;
    if (this.#threadsMax > 0) return this.#next();
    this.#log.warn({ err: error }, "the worker has to notify the kernel of names by itself");
    for (const { done } of this.#waiting.splice(0)) done("EPIPE");
  }
}
