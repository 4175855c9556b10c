// The messages of one subscription: those that wait, and those that were handed out and are not acknowledged.
//
// A message comes again when its time to be acknowledged is over. Order is that of publishing, but for what comes
// again. All of it is in memory: whoever relies on every message being delivered relies on too much anyway.

import { randomUUID } from "node:crypto";

export interface Message {
  readonly messageId: string;
  readonly publishTime: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Base64. */
  readonly data?: string;
}

export interface ReceivedMessage {
  readonly ackId: string;
  readonly message: Message;
}

interface Kept {
  readonly message: Message;
  readonly sinceMs: number;
}

interface Lease extends Kept {
  readonly endMs: number;
}

export interface QueueLimits {
  /** How long a message that nobody acknowledges is kept. */
  readonly retentionMs: number;
  /** How long whoever got a message may take to acknowledge it. */
  readonly ackDeadlineMs: number;
}

/** Full: the oldest message gives way. */
const messagesMax = 10_000;

export class MessageQueue {
  readonly #limits: QueueLimits;
  readonly #nowMs: () => number;
  #waiting: Kept[] = [];
  readonly #leases = new Map<string, Lease>();
  #changed = Promise.withResolvers<void>();
  #ended = false;

  constructor(limits: QueueLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** How many messages are kept, waiting or handed out. */
  get size(): number {
    return this.#waiting.length + this.#leases.size;
  }

  /** True once the subscription is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  add(message: Message): void {
    this.#waiting.push({ message, sinceMs: this.#nowMs() });
    if (this.#waiting.length > messagesMax) this.#waiting.splice(0, this.#waiting.length - messagesMax);
    this.#wake();
  }

  /** Up to `most` messages, as soon as there are any; none if none comes within `waitMs` or the client goes away. */
  async pull(most: number, waitMs: number, gone: AbortSignal): Promise<ReceivedMessage[]> {
    const endMs = this.#nowMs() + waitMs;
    for (;;) {
      this.#takeBack();
      const leftMs = endMs - this.#nowMs();
      if (gone.aborted || this.#ended) return [];
      if (this.#waiting.length > 0 || leftMs <= 0) return this.#handOut(most);
      await this.#change(Math.min(leftMs, this.#nextEndMs() - this.#nowMs()), gone);
    }
  }

  /** Forgets messages that were handed out; ids that are not known any more do no harm. */
  acknowledge(ackIds: readonly string[]): void {
    for (const id of ackIds) this.#leases.delete(id);
  }

  /** Gives whoever has these messages so long from now on; 0 brings them back at once. */
  modifyDeadline(ackIds: readonly string[], deadlineMs: number): void {
    for (const id of ackIds) {
      const lease = this.#leases.get(id);
      if (lease !== undefined) this.#leases.set(id, { ...lease, endMs: this.#nowMs() + deadlineMs });
    }
    this.#wake();
  }

  /** The subscription is gone: whoever waits for messages is answered. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  #handOut(most: number): ReceivedMessage[] {
    const endMs = this.#nowMs() + this.#limits.ackDeadlineMs;
    return this.#waiting.splice(0, most).map((kept) => {
      const ackId = randomUUID();
      this.#leases.set(ackId, { ...kept, endMs });
      return { ackId, message: kept.message };
    });
  }

  #takeBack(): void {
    const nowMs = this.#nowMs();
    for (const [id, { message, sinceMs, endMs }] of this.#leases) {
      if (endMs > nowMs) continue;
      this.#leases.delete(id);
      this.#waiting.push({ message, sinceMs });
    }
    const oldestMs = nowMs - this.#limits.retentionMs;
    if (this.#waiting.some(({ sinceMs }) => sinceMs < oldestMs))
      this.#waiting = this.#waiting.filter(({ sinceMs }) => sinceMs >= oldestMs);
  }

  #nextEndMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { endMs } of this.#leases.values()) nextMs = Math.min(nextMs, endMs);
    return nextMs;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Resolves when something changed, the time is over, or the client is gone. */
  async #change(waitMs: number, gone: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, waitMs);
    gone.addEventListener("abort", () => over.resolve(), { once: true });
    await Promise.race([this.#changed.promise, over.promise]);
    clearTimeout(timer);
  }
}
