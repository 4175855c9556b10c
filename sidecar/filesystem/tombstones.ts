// Uploads of which nobody knows whether they will still arrive, under names that were removed, left or refused since (RULES 6).
//
// An insert that was given up may be in the network, or in the service, and make its object when the name is free again. It
// carries its operation's id: an object that shows it under such a name is nobody's file. Programs do not see it, whoever
// makes the name anew takes its place, and it is deleted: when it is met, and by looking for it now and then.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";
import { OPERATION_KEY } from "./metadata.ts";

/** Longer than any network or service keeps a request. */
const WATCHED_MS = 3_600_000;
const FIRST_LOOK_MS = 1000;
/** Each pause is twice the one before, up to this. */
const LONGEST_PAUSE_MS = 300_000;

interface Tombstone {
  readonly operations: Set<string>;
  /** By the wall clock: it is kept over restarts. */
  sinceMs: number;
  pauseMs: number;
  timer: NodeJS.Timeout | undefined;
}

export class Tombstones {
  readonly #context: Context;
  /** By object name. */
  readonly #all = new Map<string, Tombstone>();
  #stopped = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** What these operations may still make under this name is not wanted any more. Resolves when a crash would not lose that. */
  async bury(object: string, operations: Iterable<string>): Promise<void> {
    const buried = [...operations];
    if (buried.length === 0) return;
    const sinceMs = Date.now();
    await this.#context.owed.bury(object, buried, sinceMs);
    this.#watch(object, buried, sinceMs);
  }

  /**
   * Something is about to get this name, or all below it (then it ends in "/"), from elsewhere. It may be what one of these
   * uploads has made after all, and must not be deleted; while it has the name no late one can take it.
   */
  async exhume(name: string): Promise<void> {
    for (const [object, tombstone] of this.#all) {
      if (object !== name && !(name.endsWith("/") && object.startsWith(name))) continue;
      await this.#removeLate(object, tombstone);
      clearTimeout(tombstone.timer);
      this.#all.delete(object);
      await this.#context.owed.forgetBuried(object);
    }
  }

  /** Whether any upload under this name may be late. */
  has(object: string): boolean {
    return this.#all.has(object);
  }

  /** Whether this is what a late upload has made: as good as not there. */
  isBuried({ name, metadata }: ObjectInfo): boolean {
    const tombstone = this.#all.get(name);
    const operation = metadata[OPERATION_KEY];
    if (tombstone === undefined || operation === undefined || !tombstone.operations.has(operation))
      return false;
    this.#lookAfter(name, tombstone, 0);
    return true;
  }

  /** Deletes it if it is still there. */
  async remove({ name, generation }: ObjectInfo): Promise<void> {
    const { bucket, log } = this.#context;
    try {
      await bucket.remove(name, generation);
      log.warn({ object: name }, "an upload that had been given up arrived late: removed");
    } catch (error) {
      if (!isBucketError(error, "precondition-failed", "not-found")) throw error;
    }
  }

  /** Goes on with those of an earlier run. */
  async resume(): Promise<void> {
    for (const { object, operation, sinceMs } of await this.#context.owed.buried())
      this.#watch(object, [operation], sinceMs);
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#all.values()) clearTimeout(timer);
  }

  #watch(object: string, operations: readonly string[], sinceMs: number): void {
    const known = this.#all.get(object);
    const tombstone = known ?? { operations: new Set(), sinceMs, pauseMs: 0, timer: undefined };
    this.#all.set(object, tombstone);
    for (const operation of operations) tombstone.operations.add(operation);
    tombstone.sinceMs = Math.max(tombstone.sinceMs, sinceMs);
    tombstone.pauseMs = FIRST_LOOK_MS;
    this.#lookAfter(object, tombstone, FIRST_LOOK_MS);
  }

  #lookAfter(object: string, tombstone: Tombstone, delayMs: number): void {
    clearTimeout(tombstone.timer);
    if (this.#stopped) return;
    tombstone.timer = setTimeout(() => {
      this.#context.background.start("look for a late upload", () => this.#look(object, tombstone));
    }, delayMs).unref();
  }

  async #look(object: string, tombstone: Tombstone): Promise<void> {
    try {
      await this.#removeLate(object, tombstone);
    } finally {
      await this.#lookAgain(object, tombstone);
    }
  }

  async #removeLate(object: string, tombstone: Tombstone): Promise<void> {
    const { value: live } = await this.#context.bucket.stat(object);
    const operation = live?.metadata[OPERATION_KEY];
    if (this.#all.get(object) !== tombstone) return; // exhumed meanwhile
    if (live !== undefined && operation !== undefined && tombstone.operations.has(operation))
      await this.remove(live);
  }

  async #lookAgain(object: string, tombstone: Tombstone): Promise<void> {
    if (this.#all.get(object) !== tombstone) return;
    if (Date.now() - tombstone.sinceMs < WATCHED_MS) {
      this.#lookAfter(object, tombstone, tombstone.pauseMs);
      tombstone.pauseMs = Math.min(2 * tombstone.pauseMs, LONGEST_PAUSE_MS);
      return;
    }
    this.#all.delete(object);
    await this.#context.owed.forgetBuried(object);
  }
}
