// Everything the server keeps: tables, data files and the clock, and the few ways an object comes and goes.
//
// The functions that change objects run inside a commit. A data file is removed only after the commit that took
// its last reference away; at any other time every referenced file exists.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import { objectNotFound } from "./api-error.ts";
import { Buckets } from "./buckets.ts";
import { Clock } from "./clock.ts";
import { DataFiles } from "./data-files.ts";
import { Database, type Transaction } from "./database.ts";
import { Hierarchy } from "./hierarchy.ts";
import { Notifications } from "./notifications.ts";
import { Objects, type StoredObject } from "./objects.ts";
import { checkPreconditions, type Preconditions } from "./preconditions.ts";
import { checkHolds } from "./properties.ts";
import { PubSub } from "./pubsub/pubsub.ts";
import type { StoredBucket } from "./resources.ts";
import { Sessions } from "./sessions.ts";

/** A new object as its maker knows it; the store adds generation and times. */
export type NewObject = Omit<StoredObject, "generation" | "metageneration" | "createdMs" | "updatedMs">;

// A session lives for a week: https://cloud.google.com/storage/docs/resumable-uploads
export const sessionLifeMs = 7 * 24 * 60 * 60 * 1000;

export class Store {
  readonly buckets: Buckets;
  readonly objects: Objects;
  readonly sessions: Sessions;
  readonly hierarchy: Hierarchy;
  readonly pubSub: PubSub;
  readonly notifications: Notifications;
  readonly clock: Clock;
  readonly files: DataFiles;
  readonly log: Log;
  readonly #database: Database;
  readonly #removals: Background;

  private constructor(database: Database, files: DataFiles, log: Log) {
    this.#database = database;
    this.files = files;
    this.log = log;
    this.buckets = new Buckets(database.sql);
    this.objects = new Objects(database.sql);
    this.sessions = new Sessions(database.sql);
    this.clock = clockKeptIn(database);
    this.hierarchy = new Hierarchy(database, this.objects, this.clock);
    this.pubSub = new PubSub(database.sql);
    this.notifications = new Notifications(this.pubSub);
    this.#removals = new Background((name, err) => log.error({ err }, `${name} failed`));
  }

  /** Opens or makes the store in `directory`. Throws DirectoryInUse if another server has it open. */
  static async open(directory: string, log: Log): Promise<Store> {
    await mkdir(directory, { recursive: true });
    const database = new Database(join(directory, "metadata.db"));
    const store = new Store(database, await DataFiles.open(join(directory, "data")), log);
    await store.#removeLeftovers();
    await store.#finishRenames();
    return store;
  }

  /** Runs `work` in a transaction; resolves once its changes are on disk. */
  commit<T>(work: (transaction: Transaction) => T): Promise<T> {
    return this.#database.commit(work);
  }

  /** The live object, pinned to a generation if one is given, or the service's 404. */
  get(bucket: string, name: string, generation?: number): StoredObject {
    const object = this.objects.find(bucket, name);
    if (object !== undefined && (generation ?? object.generation) === object.generation) return object;
    this.buckets.get(bucket);
    throw objectNotFound(bucket, name);
  }

  /** In a commit: puts `made` in the place of what is there, if that is as expected. */
  replace(transaction: Transaction, made: NewObject, expected: Preconditions): StoredObject {
    const { bucket, name } = made;
    const within = this.buckets.get(bucket);
    this.hierarchy.checkWritable(within, name);
    const current = this.objects.find(bucket, name);
    checkPreconditions(current, expected);
    if (current !== undefined) checkHolds(current.properties, bucket, name);
    const nowMs = this.clock.nowMs();
    const generation = this.clock.nextGeneration();
    const object = { ...made, generation, metageneration: 1, createdMs: nowMs, updatedMs: nowMs };
    this.hierarchy.makeFoldersOf(within, name);
    this.objects.put(object);
    if (current !== undefined) this.release(transaction, current.file);
    this.#tellOfNew(transaction, within, object, current);
    return object;
  }

  /** In a commit: removes a live object. */
  remove(transaction: Transaction, object: StoredObject): void {
    const { bucket, name, properties, file } = object;
    const within = this.buckets.get(bucket);
    this.hierarchy.checkWritable(within, name);
    checkHolds(properties, bucket, name);
    this.objects.remove(bucket, name);
    this.release(transaction, file);
    const atMs = this.clock.nowMs();
    this.notifications.tell(transaction, within, { type: "OBJECT_DELETE", object, atMs });
  }

  /** In a commit: puts an object with other attributes in the place of itself. */
  change(transaction: Transaction, object: StoredObject): void {
    const within = this.buckets.get(object.bucket);
    this.hierarchy.checkWritable(within, object.name);
    this.objects.put(object);
    const atMs = object.updatedMs;
    this.notifications.tell(transaction, within, { type: "OBJECT_METADATA_UPDATE", object, atMs });
  }

  /** In a commit: removes a data file afterwards unless something still refers to it then. */
  release(transaction: Transaction, file: string): void {
    transaction.afterCommit(() => {
      if (this.#isUsed(file)) return;
      this.#removals.start("removing a data file", () => this.files.remove(file));
    });
  }

  async close(): Promise<void> {
    this.hierarchy.renames.stop();
    await this.#removals.idle();
    this.#database.close();
    await this.files.close();
  }

  #tellOfNew(
    transaction: Transaction,
    within: StoredBucket,
    object: StoredObject,
    replaced: StoredObject | undefined,
  ): void {
    const { generation, updatedMs: atMs } = object;
    const overwrote = replaced?.generation;
    this.notifications.tell(transaction, within, { type: "OBJECT_FINALIZE", object, atMs, overwrote });
    if (replaced === undefined) return;
    const gone = { type: "OBJECT_DELETE", object: replaced, atMs, overwrittenBy: generation } as const;
    this.notifications.tell(transaction, within, gone);
  }

  /** What uploads and removals left behind that were under way when the last server ended. */
  async #removeLeftovers(): Promise<void> {
    await this.commit(() => this.sessions.forgetBefore(Date.now() - sessionLifeMs));
    const files = await this.files.sweep((file) => this.#isUsed(file));
    if (files > 0) this.log.info({ files }, "removed data files of unfinished uploads");
  }

  /** Operations the last server had begun: whoever asked for them was told that they would come to an end. */
  async #finishRenames(): Promise<void> {
    await this.commit(() => {
      for (const rename of this.hierarchy.renames.running()) this.hierarchy.carryOut(rename);
    });
  }

  #isUsed(file: string): boolean {
    return this.objects.usesFile(file) || this.sessions.usesFile(file);
  }
}

/** A clock whose last generation is committed with the objects that got it. */
function clockKeptIn(database: Database): Clock {
  const row = database.sql.prepare("SELECT value FROM state WHERE name = 'generation'").get();
  const clock = new Clock(Number(row?.["value"] ?? 0));
  const write = database.sql.prepare("INSERT OR REPLACE INTO state VALUES ('generation', ?)");
  let written = clock.lastGeneration;
  database.beforeCommit(() => {
    if (clock.lastGeneration === written) return;
    write.run(clock.lastGeneration);
    written = clock.lastGeneration;
  });
  return clock;
}
