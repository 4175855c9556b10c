// The few calls of Pub/Sub's REST interface that are needed to listen to a bucket. Each is sent once: whoever listens
// begins again by himself.

import { dated, type Requests } from "../requests.ts";
import type { Call } from "../transport.ts";

/** As many as one answer has. */
const messagesPerPull = 1000;
/** A pull without messages is answered after a while; one that is not answered at all has lost its connection. */
const pullLimitMs = 120_000;

export interface Pulled {
  readonly ackId: string;
  readonly attributes: unknown;
}

/** What a new subscription is to be. */
export interface NewSubscription {
  readonly topic: string;
  readonly ackDeadlineSeconds: number;
  /** Unacknowledged messages are kept so long. */
  readonly messageRetentionDuration: string;
  /** Unused, it goes after this time. */
  readonly expirationPolicy: { readonly ttl: string };
}

interface PullAnswer {
  receivedMessages?: { ackId?: unknown; message?: { attributes?: unknown } }[];
}

export class PubSub {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** `projects/p/topics/t`; one that is there already will do. */
  async createTopic(name: string, signal?: AbortSignal): Promise<void> {
    await this.#change({ method: "PUT", name, about: `creation of topic ${name}`, body: {}, signal }, [409]);
  }

  /** `projects/p/subscriptions/s`. One of that name is ours, made by a try whose answer was lost. */
  async createSubscription(name: string, body: NewSubscription, signal?: AbortSignal): Promise<void> {
    const about = `creation of subscription ${name}`;
    await this.#change({ method: "PUT", name, about, body, signal }, [409]);
  }

  /** Also if it is gone already. */
  async deleteSubscription(name: string, atMostMs: number): Promise<void> {
    const about = `removal of subscription ${name}`;
    await this.#change({ method: "DELETE", name, about, atMostMs }, [404]);
  }

  /** The next messages; waits for them as long as the service does. */
  async pull(name: string, signal?: AbortSignal): Promise<Pulled[]> {
    const body = { maxMessages: messagesPerPull };
    const call = callOf({ method: "POST", name: `${name}:pull`, about: `pull of ${name}`, body, signal });
    const answer = await this.#requests.askOnce({ ...call, operation: "pull" }, pullLimitMs);
    const { receivedMessages = [] } = dated(answer, (json) => (json ?? {}) as PullAnswer).value;
    return receivedMessages.flatMap(({ ackId, message }) =>
      typeof ackId === "string" ? [{ ackId, attributes: message?.attributes }] : [],
    );
  }

  /** These messages need not come again. */
  async acknowledge(name: string, ackIds: readonly string[], signal?: AbortSignal): Promise<void> {
    const about = `acknowledgement of messages of ${name}`;
    await this.#change({ method: "POST", name: `${name}:acknowledge`, about, body: { ackIds }, signal });
  }

  async #change(asked: Asked, accept: readonly number[] = []): Promise<void> {
    const call = callOf(asked);
    await this.#requests.askOnce(call, this.#requests.metadataBudget(asked.atMostMs).limitMs, accept);
  }
}

interface Asked {
  readonly method: "PUT" | "POST" | "DELETE";
  readonly name: string;
  readonly about: string;
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
  readonly atMostMs?: number;
}

function callOf({ method, name, about, body, signal }: Asked): Call {
  const path = `/v1/${name.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":")}`;
  const bare: Call = { operation: "pubsub", about, method, path, signal };
  if (body === undefined) return bare;
  const content = Buffer.from(JSON.stringify(body));
  const headers = { "content-type": "application/json" };
  return { ...bare, headers, body: () => ({ length: content.length, content }) };
}
