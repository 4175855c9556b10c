// Writes workers' notifications of names to the kernel (RULES 27).
//
// One may wait there for a folder's lock, which a request holds that a worker has to answer, and while it waits nothing ends
// its thread. In a worker, that kept it from being gone when it was killed, so that no other took over. Here it lasts until
// the next worker has answered, or the mount is gone. If this process is killed as well, nothing may depend on such a thread:
// see notification-thread.ts.

import { setTimeout as delay } from "node:timers/promises";
import type { Worker } from "node:worker_threads";

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
  #done: Done | undefined;

  constructor(devices: NotificationDevices, onIdle: () => void, onLost: (error: Error) => void) {
    this.#worker = startThread(new URL("./notification-thread.ts", import.meta.url), {
      workerData: devices,
      trackUnmanagedFds: false, // it closes what it has not opened
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 }, // of garbage
    });
    this.#worker.unref();
    this.#worker.on("message", ({ code }: NotificationAnswer) => {
      this.#answer(code);
      onIdle();
    });
    this.#worker.on("error", (error) => {
      this.#answer("EPIPE");
      onLost(error instanceof Error ? error : new Error(String(error)));
    });
  }

  get busy(): boolean {
    return this.#done !== undefined;
  }

  write({ mount, bytes, done }: Waiting): void {
    this.#done = done;
    const own = new Uint8Array(bytes); // a Buffer is part of a larger one, all of which would be copied
    this.#worker.postMessage({ mount, bytes: own } satisfies NotificationRequest, [own.buffer]);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #answer(code?: string): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(code);
  }
}

export class NameNotifications {
  readonly #log: Log;
  readonly #devices: NotificationDevices;
  readonly #waiting: Waiting[] = [];
  readonly #threads: Thread[] = [];
  #lost = false;

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
    if (this.#lost) return done("EPIPE");
    this.#waiting.push({ mount, bytes, done });
    this.#next();
  }

  /**
   * To be called when no worker is left and this process has closed its devices: whatever still waits in the kernel goes on
   * then, and what the threads hold of the mounts goes with them. Resolves when they are gone, or after `limitMs`.
   */
  async end(limitMs: number): Promise<void> {
    this.#waiting.length = 0;
    const ended = Promise.all(this.#threads.map((thread) => thread.end()));
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
    if (this.#threads.length >= THREADS_MAX) return undefined;
    const thread = new Thread(
      this.#devices,
      () => this.#next(),
      (error) => this.#giveUp(error),
    );
    this.#threads.push(thread);
    return thread;
  }

  /** The workers write them from now on. */
  #giveUp(error: Error): void {
    if (!this.#lost) this.#log.warn({ err: error }, "the worker has to notify the kernel of names by itself");
    this.#lost = true;
    for (const { done } of this.#waiting.splice(0)) done("EPIPE");
  }
}
