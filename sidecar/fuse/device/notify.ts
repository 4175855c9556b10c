// Telling the kernel that something changed behind its back.
//
// Those of names take locks that requests hold while they wait for us, so they are never written on the thread that
// answers, and never more than four at once. Nor in the process that answers, where there is a supervisor to write
// them: a thread that waits for such a lock cannot be killed, a process with such a thread is not gone, and its
// successor, which waits for its end, is the one who would answer the request. An entry notification wants its folder's lock for
// itself: while it waits behind a slow look-up there, every later look-up in the folder waits behind it. So it is
// held back while we serve a request in that folder. If that lasts longer than 50 ms, or it got stuck all the
// same, all names are expired at once instead, which needs no lock (RULES 27). Nor do those of attributes, which
// therefore never wait for those of names.
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
// Of names and of attributes each. Full: all names are expired at once; of attributes the oldest are dropped, which are
// asked for again when their time is over.
const QUEUE_MAX = 10_000;
/** How long `stop` waits for those already handed to the kernel. */
const STOP_WAIT_MS = 2_000;

// Ordinary outcomes: the kernel does not know the node or name, or the mount is gone.
const FINE = new Set(["ENOENT", "ENODEV", "ENOTCONN", "ECONNABORTED", "EPERM", "ENOTDIR"]);

interface Notification {
  readonly key: string;
  readonly bytes: Buffer;
  readonly since: number;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

interface NameNotification extends Notification {
  /** The folder whose lock it takes. */
  readonly folder: InodeId;
  /** The kernel knows by other means (INC_EPOCH); what was sent may stay stuck. */
  covered: boolean;
}

/** How a notification reaches the kernel: apart from the thread that answers, so that it may wait there. */
export type NotificationWriter = (
  bytes: Buffer,
  done: (error: { readonly code?: string | undefined } | null) => void,
) => void;

export function writeOnPool(descriptor: number): NotificationWriter {
  return (bytes, done) => fs.write(descriptor, bytes, 0, bytes.length, null, done);
}

/** Those of one kind: what waits to be sent, and what the kernel has not taken yet. */
class Lane<Kind extends Notification> {
  readonly queued = new Map<string, Kind>();
  readonly inFlight = new Set<Kind>();

  get all(): Kind[] {
    return [...this.inFlight, ...this.queued.values()];
  }
}

/** Sends notifications, each name or inode at most once in the queue. */
export class Notifier {
  readonly #writeName: NotificationWriter;
  readonly #write: NotificationWriter;
  readonly #isBusy: (folder: InodeId) => boolean;
  readonly #log: Log;
  readonly #names = new Lane<NameNotification>();
  readonly #attributes = new Lane<Notification>();
  #timer: NodeJS.Timeout | undefined;
  #features: { readonly expireOnly: boolean; readonly epoch: boolean } | undefined;
  #stopped = false;

  /** `writeName` writes those that may wait for a lock. `isBusy`: a request in that folder is being served. */
  constructor(
    { write, writeName = write }: { write: NotificationWriter; writeName?: NotificationWriter | undefined },
    isBusy: (folder: InodeId) => boolean,
    log: Log,
  ) {
    this.#write = write;
    this.#writeName = writeName;
    this.#isBusy = isBusy;
    this.#log = log;
  }

  /** From now on there is a kernel that remembers things. Before, nothing needs to be told. */
  start(features: { readonly expireOnly: boolean; readonly epoch: boolean }): void {
    this.#features = features;
  }

  /** The name no longer stands for what the kernel remembers. Resolves when the kernel knows. */
  entryChanged(parent: InodeId, name: string): Promise<void> {
    const { expireOnly } = this.#features ?? {};
    if (expireOnly === undefined || this.#stopped) return Promise.resolve();
    const key = `${parent}/${name}`;
    const waiting = this.#names.queued.get(key);
    if (waiting !== undefined) return waiting.done; // not yet sent, so it covers this change as well
    const news = notification(key, encodeEntryChanged(parent, name, expireOnly));
    this.#names.queued.set(key, { ...news, folder: parent, covered: false });
    if (this.#names.queued.size > QUEUE_MAX && this.canExpireAtOnce) this.#expireAllNames();
    this.#sendNames();
    return news.done;
  }

  /** Whether all names can be expired without waiting for anything. */
  get canExpireAtOnce(): boolean {
    return this.#features?.epoch === true;
  }

  /** The inode's attributes changed; its pages stay. */
  attributesChanged(inode: InodeId): Promise<void> {
    if (this.#features === undefined || this.#stopped) return Promise.resolve();
    const { queued } = this.#attributes;
    const key = String(inode);
    const waiting = queued.get(key);
    if (waiting !== undefined) return waiting.done;
    const news = notification(key, encodeAttributesChanged(inode));
    queued.set(key, news);
    const [oldest] = queued.values();
    if (queued.size > QUEUE_MAX && oldest !== undefined && queued.delete(oldest.key)) oldest.resolve();
    this.#sendAttributes();
    return news.done;
  }

  /** Sends none any more; those with the kernel are waited for, but not for ever. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const inFlight = [];
    for (const lane of [this.#names, this.#attributes]) {
      for (const { resolve } of lane.queued.values()) resolve();
      lane.queued.clear();
      inFlight.push(...lane.inFlight);
    }
    const { promise: waitedEnough, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, STOP_WAIT_MS);
    await Promise.race([Promise.all(inFlight.map(({ done }) => done)), waitedEnough]);
    clearTimeout(timer);
  }

  #sendNames(): void {
    const patient = this.canExpireAtOnce;
    for (const news of this.#names.queued.values()) {
      if (this.#names.inFlight.size >= IN_FLIGHT_MAX) break;
      const held = this.#isBusy(news.folder) && (patient || !isLate(news));
      if (!held) this.#send(this.#writeName, news, this.#names, () => this.#sendNames());
    }
    this.#lookAgain();
  }

  #sendAttributes(): void {
    for (const news of this.#attributes.queued.values()) {
      if (this.#attributes.inFlight.size >= IN_FLIGHT_MAX) break;
      this.#send(this.#write, news, this.#attributes, () => this.#sendAttributes());
    }
  }

  #send<Kind extends Notification>(
    write: NotificationWriter,
    news: Kind,
    { queued, inFlight }: Lane<Kind>,
    next: () => void,
  ): void {
    queued.delete(news.key);
    inFlight.add(news);
    write(news.bytes, (error) => {
      if (error !== null && !FINE.has(error.code ?? "")) {
        this.#log.warn({ err: error, key: news.key }, "the kernel refused a notification");
      }
      inFlight.delete(news);
      news.resolve();
      if (!this.#stopped) next();
    });
  }

  /** Keeps looking while an entry notification waits, held back or in the kernel. */
  #lookAgain(): void {
    if (this.#timer !== undefined || this.#stopped || this.#waitingNames().length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sendNames();
      if (this.canExpireAtOnce && this.#waitingNames().some(isLate)) this.#expireAllNames();
    }, LOOK_AGAIN_MS);
  }

  #waitingNames(): NameNotification[] {
    return this.#names.all.filter(({ covered }) => !covered);
  }

  /** INC_EPOCH covers every entry notification asked for up to now, sent or not. */
  #expireAllNames(): void {
    const covered = this.#waitingNames();
    for (const news of covered) {
      news.covered = true;
      this.#names.queued.delete(news.key);
    }
    this.#write(encodeEpochIncrement(), (error) => {
      if (error !== null && !FINE.has(error.code ?? "")) {
        this.#log.warn({ err: error }, "the kernel refused to expire all names");
      }
      for (const { resolve } of covered) resolve();
    });
  }
}

function notification(key: string, bytes: Buffer): Notification {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  return { key, bytes, since: performance.now(), done, resolve };
}

function isLate({ since }: Notification): boolean {
  return performance.now() - since >= PATIENCE_MS;
}
