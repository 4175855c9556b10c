// Topics and subscriptions, as far as bucket notifications need them.
//
// Topics and subscriptions are kept with the rest of the metadata; messages are not: those that nobody had fetched
// when the server ended are lost. A subscription nobody asks for its messages goes when its time to live is over.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Transaction } from "../database.ts";
import { MessageQueue, type Message } from "./message-queue.ts";
import { resourceExists, resourceNotFound } from "./rpc-error.ts";

export interface Subscription {
  readonly name: string;
  /** `_deleted-topic_` once it is gone, as the service says it. */
  readonly topic: string;
  readonly ackDeadlineMs: number;
  readonly retentionMs: number;
  /** How long it may go unused; undefined: for ever. */
  readonly expiresAfterMs: number | undefined;
  /** As its maker sent it, to be shown again. */
  readonly resource: Readonly<Record<string, unknown>>;
}

export const deletedTopic = "_deleted-topic_";

interface Live {
  subscription: Subscription;
  readonly queue: MessageQueue;
  usedMs: number;
}

export class PubSub {
  readonly #nowMs: () => number;
  readonly #find: StatementSync;
  readonly #add: StatementSync;
  readonly #replace: StatementSync;
  readonly #remove: StatementSync;
  readonly #subscriptions = new Map<string, Live>();
  #published = 0;

  constructor(sql: DatabaseSync, nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
    this.#find = sql.prepare("SELECT resource FROM pubsub WHERE name = ?");
    this.#add = sql.prepare("INSERT OR IGNORE INTO pubsub (name, resource) VALUES (?, ?)");
    this.#replace = sql.prepare("UPDATE pubsub SET resource = ? WHERE name = ?");
    this.#remove = sql.prepare("DELETE FROM pubsub WHERE name = ?");
    const kept = sql.prepare("SELECT resource FROM pubsub WHERE name LIKE 'projects/%/subscriptions/%'");
    for (const row of kept.all()) this.#keep(JSON.parse(String(row["resource"])) as Subscription);
  }

  hasTopic(name: string): boolean {
    return this.#find.get(name) !== undefined;
  }

  /** The topic as its maker sent it, or the service's 404. */
  topic(name: string): Readonly<Record<string, unknown>> {
    const row = this.#find.get(name);
    if (row === undefined) throw resourceNotFound(name);
    return JSON.parse(String(row["resource"])) as Record<string, unknown>;
  }

  /** In a commit. 409 if there is one of that name. */
  createTopic(name: string, resource: Readonly<Record<string, unknown>>): void {
    if (this.#add.run(name, JSON.stringify(resource)).changes === 0) throw resourceExists(name);
  }

  /** In a commit. Subscriptions stay, and get nothing any more. */
  deleteTopic(transaction: Transaction, name: string): void {
    if (this.#remove.run(name).changes === 0) throw resourceNotFound(name);
    for (const live of this.#subscriptions.values()) {
      if (live.subscription.topic !== name) continue;
      const orphan = { ...live.subscription, topic: deletedTopic };
      this.#replace.run(JSON.stringify(orphan), orphan.name);
      transaction.afterCommit(() => (live.subscription = orphan));
    }
  }

  /** The subscription, or the service's 404. */
  subscription(name: string): Subscription {
    return this.#live(name).subscription;
  }

  /** In a commit. 409 if there is one of that name, 404 if there is no such topic. */
  createSubscription(transaction: Transaction, subscription: Subscription): void {
    this.topic(subscription.topic);
    const { name } = subscription;
    if (this.#add.run(name, JSON.stringify(subscription)).changes === 0) throw resourceExists(name);
    transaction.afterCommit(() => this.#keep(subscription));
  }

  /** In a commit. */
  deleteSubscription(transaction: Transaction, name: string): void {
    if (this.#remove.run(name).changes === 0) throw resourceNotFound(name);
    transaction.afterCommit(() => this.#drop(name));
  }

  /** The messages of a subscription; asking for them counts as using it. */
  queue(name: string): MessageQueue {
    const live = this.#live(name);
    live.usedMs = this.#nowMs();
    return live.queue;
  }

  /** Gives a message to every subscription of the topic; answers its id. A topic that is gone has none. */
  publish(topic: string, message: Omit<Message, "messageId" | "publishTime">): string {
    const nowMs = this.#nowMs();
    this.#published += 1;
    const messageId = `${nowMs}${String(this.#published).padStart(6, "0")}`;
    const published = { ...message, messageId, publishTime: new Date(nowMs).toISOString() };
    for (const { subscription, queue, usedMs } of this.#subscriptions.values()) {
      if (subscription.topic !== topic) continue;
      const { name, expiresAfterMs = Number.POSITIVE_INFINITY } = subscription;
      if (nowMs - usedMs <= expiresAfterMs) queue.add(published);
      else {
        this.#remove.run(name);
        this.#drop(name);
      }
    }
    return messageId;
  }

  #keep(subscription: Subscription): void {
    const { retentionMs, ackDeadlineMs, name } = subscription;
    const queue = new MessageQueue({ retentionMs, ackDeadlineMs }, this.#nowMs);
    this.#subscriptions.set(name, { subscription, queue, usedMs: this.#nowMs() });
  }

  #drop(name: string): void {
    this.#subscriptions.get(name)?.queue.end();
    this.#subscriptions.delete(name);
  }

  #live(name: string): Live {
    const live = this.#subscriptions.get(name);
    if (live === undefined) throw resourceNotFound(name);
    return live;
  }
}
