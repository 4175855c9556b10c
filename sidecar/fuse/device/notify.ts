// Telling the kernel that something changed behind its back.
//
// Notifications take locks that requests hold while they wait for us, so they are written on the pool, never on
// the thread that answers, and never more than four at once (RULES 27). An entry notification waits for its
// folder's lock; if it is not done in 50 ms, all names are expired at once instead, which needs no lock.
// After `stop` none is sent: at teardown they would leave a process that cannot be killed (FUSE.md §5).

import fs from "node:fs";

import type { InodeId } from "../../filesystem/filesystem.ts";
import type { Log } from "../../telemetry/log.ts";
import { encodeAttributesChanged, encodeEntryChanged, encodeEpochIncrement } from "./encode.ts";

const IN_FLIGHT_MAX = 4;
const PATIENCE_MS = 50;
// Full: names are expired all at once, or the oldest attribute notification is dropped; attributes are asked for
// again when their time is over.
const QUEUE_MAX = 10_000;
/** How long `stop` waits for those already handed to the kernel. */
const STOP_WAIT_MS = 2_000;

// Ordinary outcomes: the kernel does not know the node or name, or the mount is gone.
const FINE = new Set(["ENOENT", "ENODEV", "ENOTCONN", "ECONNABORTED", "EPERM", "ENOTDIR"]);

interface Notification {
  readonly key: string;
  readonly kind: "entry" | "attributes";
  readonly bytes: Buffer;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

/** How a notification reaches the kernel: on the pool, so that it may wait there. */
export type NotificationWriter = (bytes: Buffer, done: (error: NodeJS.ErrnoException | null) => void) => void;

export function writeOnPool(descriptor: number): NotificationWriter {
  return (bytes, done) => fs.write(descriptor, bytes, 0, bytes.length, null, done);
}

/** Sends notifications, each name or inode at most once in the queue. */
export class Notifier {
  readonly #write: NotificationWriter;
  readonly #log: Log;
  readonly #queued = new Map<string, Notification>();
  readonly #inFlight = new Set<Notification>();
  #epochTimer: NodeJS.Timeout | undefined;
  #features: { expireOnly: boolean; epoch: boolean } | undefined;
  #stopped = false;

  constructor(write: NotificationWriter, log: Log) {
    this.#write = write;
    this.#log = log;
  }

  /** From now on there is a kernel that remembers things. Before, nothing needs to be told. */
  start(features: { expireOnly: boolean; epoch: boolean }): void {
    this.#features = features;
  }

  /** The name no longer stands for what the kernel remembers. Resolves when the kernel knows. */
  entryChanged(parent: InodeId, name: string): Promise<void> {
    if (this.#features === undefined) return Promise.resolve();
    const bytes = encodeEntryChanged(parent, name, this.#features.expireOnly);
    const done = this.#enqueue("entry", `${parent}/${name}`, bytes);
    this.#watchPatience();
    return done;
  }

  /** The inode's attributes changed; its pages stay. */
  attributesChanged(inode: InodeId): Promise<void> {
    if (this.#features === undefined) return Promise.resolve();
    return this.#enqueue("attributes", String(inode), encodeAttributesChanged(inode));
  }

  /** Sends none any more; those with the kernel are waited for, but not for ever. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#epochTimer);
    for (const notification of this.#queued.values()) notification.resolve();
    this.#queued.clear();
    const { promise: waitedEnough, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_WAIT_MS);
    await Promise.race([Promise.all([...this.#inFlight].map(({ done }) => done)), waitedEnough]);
    clearTimeout(timer);
  }

  #enqueue(kind: Notification["kind"], key: string, bytes: Buffer): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    const waiting = this.#queued.get(key);
    if (waiting !== undefined) return waiting.done; // not yet sent, so it covers this change as well
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#queued.set(key, { key, kind, bytes, done, resolve });
    if (this.#queued.size > QUEUE_MAX) this.#makeRoom();
    this.#sendNext();
    return done;
  }

  #sendNext(): void {
    for (const notification of this.#queued.values()) {
      if (this.#inFlight.size >= IN_FLIGHT_MAX) return;
      this.#queued.delete(notification.key);
      this.#inFlight.add(notification);
      this.#write(notification.bytes, (error) => {
        this.#report(error, notification);
        this.#inFlight.delete(notification);
        notification.resolve();
        this.#sendNext();
      });
    }
  }

  #report(error: NodeJS.ErrnoException | null, { kind, key }: Notification): void {
    if (error === null || FINE.has(error.code ?? "")) return;
    this.#log.warn({ err: error, kind, key }, "the kernel refused a notification");
  }

  #makeRoom(): void {
    if (this.#features?.epoch === true) return this.#expireAllNames();
    for (const notification of this.#queued.values()) {
      if (notification.kind === "entry") continue;
      this.#queued.delete(notification.key);
      return notification.resolve();
    }
  }

  /** Starts the clock for entry notifications that wait for a folder's lock, or behind one that does. */
  #watchPatience(): void {
    if (this.#features?.epoch !== true || this.#epochTimer !== undefined || this.#stopped) return;
    const waiting = this.#waitingEntries();
    if (waiting.length === 0) return;
    this.#epochTimer = setTimeout(() => {
      this.#epochTimer = undefined;
      const stillWaiting = new Set(this.#waitingEntries());
      if (waiting.some((notification) => stillWaiting.has(notification))) this.#expireAllNames();
      this.#watchPatience();
    }, PATIENCE_MS);
    this.#epochTimer.unref();
  }

  #waitingEntries(): Notification[] {
    return [...this.#inFlight, ...this.#queued.values()].filter(({ kind }) => kind === "entry");
  }

  /** INC_EPOCH covers every entry notification asked for up to now, sent or not. */
  #expireAllNames(): void {
    const covered = this.#waitingEntries();
    for (const notification of covered) this.#queued.delete(notification.key);
    this.#write(encodeEpochIncrement(), (error) => {
      if (error !== null && !FINE.has(error.code ?? "")) {
        this.#log.warn({ err: error }, "the kernel refused to expire all names");
      }
      for (const notification of covered) notification.resolve();
    });
  }
}
