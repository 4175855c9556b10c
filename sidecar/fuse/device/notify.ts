// Telling the kernel that something changed behind its back.
//
// Notifications take locks that requests hold while they wait for us, so they are written on the pool, never on
// the thread that answers, and never more than four at once. An entry notification wants its folder's lock for
// itself: while it waits behind a slow look-up there, every later look-up in the folder waits behind it. So it is
// held back while we serve a request in that folder. If that lasts longer than 50 ms, or it got stuck all the
// same, all names are expired at once instead, which needs no lock (RULES 27).
//
// After `stop` none is sent: at teardown they would leave a process that cannot be killed (FUSE.md §5).

import fs from "node:fs";

import type { InodeId } from "../../filesystem/filesystem.ts";
import type { Log } from "../../telemetry/log.ts";
import { encodeAttributesChanged, encodeEntryChanged, encodeEpochIncrement } from "./encode.ts";

const IN_FLIGHT_MAX = 4;
const PATIENCE_MS = 50;
/** How often it is looked whether a folder has become quiet. */
const LOOK_AGAIN_MS = 5;
// Full: all names are expired at once, and the oldest notifications of attributes are dropped; attributes are
// asked for again when their time is over.
const QUEUE_MAX = 10_000;
/** How long `stop` waits for those already handed to the kernel. */
const STOP_WAIT_MS = 2_000;

// Ordinary outcomes: the kernel does not know the node or name, or the mount is gone.
const FINE = new Set(["ENOENT", "ENODEV", "ENOTCONN", "ECONNABORTED", "EPERM", "ENOTDIR"]);

interface Notification {
  readonly key: string;
  /** The folder whose lock it takes; undefined for attributes, which take none. */
  readonly folder: InodeId | undefined;
  readonly bytes: Buffer;
  readonly since: number;
  readonly done: Promise<void>;
  readonly resolve: () => void;
  /** The kernel knows by other means (INC_EPOCH); what was sent may stay stuck. */
  covered: boolean;
}

/** How a notification reaches the kernel: on the pool, so that it may wait there. */
export type NotificationWriter = (bytes: Buffer, done: (error: NodeJS.ErrnoException | null) => void) => void;

export function writeOnPool(descriptor: number): NotificationWriter {
  return (bytes, done) => fs.write(descriptor, bytes, 0, bytes.length, null, done);
}

/** Sends notifications, each name or inode at most once in the queue. */
export class Notifier {
  readonly #write: NotificationWriter;
  readonly #isBusy: (folder: InodeId) => boolean;
  readonly #log: Log;
  readonly #queued = new Map<string, Notification>();
  readonly #inFlight = new Set<Notification>();
  #timer: NodeJS.Timeout | undefined;
  #features: { readonly expireOnly: boolean; readonly epoch: boolean } | undefined;
  #stopped = false;

  /** `isBusy`: a request in that folder is being served. */
  constructor(write: NotificationWriter, isBusy: (folder: InodeId) => boolean, log: Log) {
    this.#write = write;
    this.#isBusy = isBusy;
    this.#log = log;
  }

  /** From now on there is a kernel that remembers things. Before, nothing needs to be told. */
  start(features: { readonly expireOnly: boolean; readonly epoch: boolean }): void {
    this.#features = features;
  }

  /** The name no longer stands for what the kernel remembers. Resolves when the kernel knows. */
  entryChanged(parent: InodeId, name: string): Promise<void> {
    if (this.#features === undefined) return Promise.resolve();
    const bytes = encodeEntryChanged(parent, name, this.#features.expireOnly);
    return this.#enqueue(`${parent}/${name}`, parent, bytes);
  }

  /** Whether all names can be expired without waiting for anything. */
  get canExpireAtOnce(): boolean {
    return this.#features?.epoch === true;
  }

  /** The inode's attributes changed; its pages stay. */
  attributesChanged(inode: InodeId): Promise<void> {
    if (this.#features === undefined) return Promise.resolve();
    return this.#enqueue(String(inode), undefined, encodeAttributesChanged(inode));
  }

  /** Sends none any more; those with the kernel are waited for, but not for ever. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const { resolve } of this.#queued.values()) resolve();
    this.#queued.clear();
    const { promise: waitedEnough, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_WAIT_MS);
    await Promise.race([Promise.all([...this.#inFlight].map(({ done }) => done)), waitedEnough]);
    clearTimeout(timer);
  }

  #enqueue(key: string, folder: InodeId | undefined, bytes: Buffer): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    const waiting = this.#queued.get(key);
    if (waiting !== undefined) return waiting.done; // not yet sent, so it covers this change as well
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#queued.set(key, { key, folder, bytes, since: performance.now(), done, resolve, covered: false });
    if (this.#queued.size > QUEUE_MAX) this.#makeRoom();
    this.#sendNext();
    return done;
  }

  #sendNext(): void {
    const patient = this.#features?.epoch === true;
    for (const notification of this.#queued.values()) {
      if (this.#inFlight.size >= IN_FLIGHT_MAX) break;
      const { folder } = notification;
      const held = folder !== undefined && this.#isBusy(folder) && (patient || !isLate(notification));
      if (!held) this.#send(notification);
    }
    this.#lookAgain();
  }

  #send(notification: Notification): void {
    this.#queued.delete(notification.key);
    this.#inFlight.add(notification);
    this.#write(notification.bytes, (error) => {
      if (error !== null && !FINE.has(error.code ?? "")) {
        this.#log.warn({ err: error, key: notification.key }, "the kernel refused a notification");
      }
      this.#inFlight.delete(notification);
      notification.resolve();
      if (!this.#stopped) this.#sendNext();
    });
  }

  /** Keeps looking while an entry notification waits, held back or in the kernel. */
  #lookAgain(): void {
    if (this.#timer !== undefined || this.#stopped || this.#waitingEntries().length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sendNext();
      if (this.#features?.epoch === true && this.#waitingEntries().some(isLate)) this.#expireAllNames();
    }, LOOK_AGAIN_MS);
  }

  #waitingEntries(): Notification[] {
    return [...this.#inFlight, ...this.#queued.values()].filter(
      ({ folder, covered }) => folder !== undefined && !covered,
    );
  }

  /** INC_EPOCH covers every entry notification asked for up to now, sent or not. */
  #expireAllNames(): void {
    const covered = this.#waitingEntries();
    for (const notification of covered) {
      notification.covered = true;
      this.#queued.delete(notification.key);
    }
    this.#write(encodeEpochIncrement(), (error) => {
      if (error !== null && !FINE.has(error.code ?? "")) {
        this.#log.warn({ err: error }, "the kernel refused to expire all names");
      }
      for (const { resolve } of covered) resolve();
    });
  }

  #makeRoom(): void {
    if (this.#features?.epoch === true) this.#expireAllNames();
    for (const notification of this.#queued.values()) {
      if (this.#queued.size <= QUEUE_MAX) return;
      if (notification.folder !== undefined) continue;
      this.#queued.delete(notification.key);
      notification.resolve();
    }
  }
}

function isLate({ since }: Notification): boolean {
  return performance.now() - since >= PATIENCE_MS;
}
