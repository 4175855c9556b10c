// The workers of one mount, one after another (DESIGN.md §2).
//
// When one dies the next takes over: a standby that has its code loaded, and nothing else (RULES 20). One that is not
// heard of for ten seconds is killed. Those that keep dying before they serve end the mount (RULES 21).

import { setTimeout as delay } from "node:timers/promises";

import type { Log } from "../telemetry/log.ts";
import { HEARTBEAT_MS, type ToWorker } from "./messages.ts";
import { describeEnd, type WorkerProcess } from "./worker-process.ts";

/** A worker that was not heard of for this long is stuck. */
const SILENCE_MAX_MS = 10_000;
/** We look every quarter of a second; if the last look was so long ago it was us who did not run. */
const SUSPENDED_MS = 2000;
/** From its start until its code is loaded, or it is heard of again. */
const TAKE_OVER_MS = 30_000;
/** A death counts against the workers before the dead one has answered this much, and served this long (RULES 21). */
const PROVEN_REQUESTS = 100;
const PROVEN_MS = 5000;
const DEATHS_MAX = 3;
const PAUSE_MS = 200;
/** The next standby is started when the one that took over has had time to catch up. */
const STANDBY_AFTER_MS = 300;

export interface SuccessionOptions {
  /** Starts a process, of the code that is on disk, that waits for `start`. */
  readonly spawn: () => WorkerProcess;
  readonly start: Extract<ToWorker, { type: "start" }>;
  readonly log: Log;
  /** Another worker serves. */
  readonly onServing: (worker: WorkerProcess) => void;
}

export class Succession {
  readonly #options: SuccessionOptions;
  #current: WorkerProcess;
  #servingSinceMs = 0;
  #deaths = 0;
  /** Killed for its silence. */
  #condemned: WorkerProcess | undefined;
  #standby: WorkerProcess | undefined;
  #standbyTimer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #ended = false;
  #watchedMs = performance.now();

  /** `first` is about to serve. */
  constructor(options: SuccessionOptions, first: WorkerProcess) {
    this.#options = options;
    this.#current = first;
  }

  get current(): WorkerProcess {
    return this.#current;
  }

  /** The current one serves. */
  serving(): void {
    this.#servingSinceMs = performance.now();
    this.#heartbeat ??= setInterval(() => this.#watch(), HEARTBEAT_MS).unref();
    this.#standbyTimer = setTimeout(() => this.#prepare(), STANDBY_AFTER_MS).unref();
  }

  /**
   * Replaces the current worker by one of the code that is on disk now. False, and it goes on, if that code does not start
   * or does not understand what this one would leave to it.
   */
  async replace(): Promise<boolean> {
    const { log, spawn } = this.#options;
    const before = this.#current;
    const { handoverVersion } = await before.expect("loaded");
    const next = spawn();
    try {
      const loaded = await inTime(next.expect("loaded"));
      if (loaded.handoverVersion !== handoverVersion)
        throw new Error(
          `it keeps version ${loaded.handoverVersion} of handover.db, the running worker ${handoverVersion}`,
        );
    } catch (error) {
      next.kill("SIGKILL");
      log.error({ err: error }, "the code on disk cannot take over; the running worker goes on");
      return false;
    }
    if (before !== this.#current || !before.running) {
      next.kill("SIGKILL"); // it died meanwhile, and its successor may have either code
      return this.replace();
    }
    this.#dismissStandby(); // it has the old code
    this.#standby = next;
    this.#deaths = 0;
    log.info({ pid: before.pid, next: next.pid }, "the worker is replaced");
    before.kill("SIGKILL");
    return true;
  }

  /**
   * After the current worker's death: resolves true once another serves, false if there will be none. `mayGoOn` is asked
   * before each start.
   */
  async next(mayGoOn: () => boolean): Promise<boolean> {
    const { log } = this.#options;
    for (;;) {
      const end = await this.#current.ended;
      const proven =
        this.#servingSinceMs > 0 &&
        (this.#current.answered >= PROVEN_REQUESTS || performance.now() - this.#servingSinceMs >= PROVEN_MS);
      this.#deaths = proven ? 0 : this.#deaths + 1;
      if (!mayGoOn()) return false;
      if (this.#deaths > DEATHS_MAX) {
        log.error({ how: describeEnd(end), deaths: this.#deaths }, "workers keep dying before they serve");
        return false;
      }
      log.warn({ how: describeEnd(end), pid: this.#current.pid }, "the worker ended; another takes over");
      if (this.#deaths > 1) await delay(PAUSE_MS);
      if (await this.#takeOver()) return true;
    }
  }

  /** None is started any more. The current one goes on. */
  end(): void {
    this.#ended = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#standbyTimer);
    this.#dismissStandby();
  }

  async #takeOver(): Promise<boolean> {
    const sinceMs = performance.now();
    clearTimeout(this.#standbyTimer);
    const standby = this.#standby?.running === true ? this.#standby : undefined;
    const loaded = standby?.loaded === true;
    this.#standby = undefined;
    this.#servingSinceMs = 0;
    this.#current = standby ?? this.#options.spawn();
    this.#current.send({ ...this.#options.start, again: true });
    try {
      await this.#served(this.#current);
    } catch (error) {
      this.#options.log.error({ err: error, pid: this.#current.pid }, "a worker could not take over");
      this.#current.kill("SIGKILL");
      return false;
    }
    const ms = Math.round(performance.now() - sinceMs);
    this.#options.log.info({ pid: this.#current.pid, ms, standby: loaded }, "another worker serves");
    this.serving();
    this.#options.onServing(this.#current);
    return true;
  }

  /** It may take long to finish what the dead one had begun, as long as it lives. */
  async #served(worker: WorkerProcess): Promise<void> {
    const serving = worker.expect("serving").then(() => true);
    worker.heardMs = performance.now();
    for (;;) {
      const looked = delay(HEARTBEAT_MS, false, { ref: false });
      if (await Promise.race([serving, looked])) return;
      if (performance.now() - worker.heardMs > TAKE_OVER_MS) throw new Error("it takes too long");
    }
  }

  #prepare(): void {
    if (this.#ended || this.#standby?.running === true) return;
    this.#standby = this.#options.spawn();
  }

  #dismissStandby(): void {
    this.#standby?.kill("SIGKILL");
    this.#standby = undefined;
  }

  #watch(): void {
    // Both may have been stopped: by `docker pause`, or with the machine.
    const nowMs = performance.now();
    if (nowMs - this.#watchedMs > SUSPENDED_MS) this.#current.heardMs = nowMs;
    this.#watchedMs = nowMs;
    const silenceMs = nowMs - this.#current.heardMs;
    if (
      this.#current === this.#condemned ||
      this.#servingSinceMs === 0 ||
      silenceMs < SILENCE_MAX_MS ||
      !this.#current.running
    )
      return;
    this.#options.log.error(
      { pid: this.#current.pid, silentMs: Math.round(silenceMs) },
      "the worker does not answer any more and is killed",
    );
    this.#condemned = this.#current;
    this.#current.kill("SIGKILL");
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = delay(TAKE_OVER_MS, undefined, { ref: false });
  return Promise.race([work, late.then(() => Promise.reject(new Error("it takes too long")))]);
}
