// Which topics a bucket tells of its changes: its notification configurations. Each call is sent once.

import { dated, type Requests } from "../requests.ts";
import type { Call } from "../transport.ts";

/** A topic that is told of changes. */
export interface ToldTopic {
  readonly id: string;
  /** `projects/p/topics/t`. */
  readonly topic: string;
}

/** What we need to hear of. */
export const neededEvents = ["OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE"] as const;

interface ConfigResource {
  id?: string;
  topic?: string;
  event_types?: string[];
  object_name_prefix?: string;
}

const topicAddress = "//pubsub.googleapis.com/";

export class BucketTopics {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** Topics that are told of every change below `prefix`, those told of first first. */
  async list(prefix: string, signal?: AbortSignal): Promise<ToldTopic[]> {
    const about = `list of notifications of bucket ${this.#requests.bucket}`;
    const call = { operation: "notificationList", about, method: "GET", path: this.#path, signal } as const;
    const { items = [] } = await this.#ask<{ items?: ConfigResource[] }>(call);
    const told = items.filter((config) => covers(config, prefix)).map(toldTopic);
    return told.sort((one, other) => Number(one.id) - Number(other.id));
  }

  /** Has the topic told of every change in the bucket, of no bytes and nothing else. */
  async add(topic: string, signal?: AbortSignal): Promise<ToldTopic> {
    const config = { topic: topicAddress + topic, payload_format: "NONE", event_types: neededEvents };
    const content = Buffer.from(JSON.stringify(config));
    const made = await this.#ask<ConfigResource>({
      operation: "notificationMake",
      about: `notification of bucket ${this.#requests.bucket} for ${topic}`,
      method: "POST",
      path: this.#path,
      headers: { "content-type": "application/json" },
      body: () => ({ length: content.length, content }),
      signal,
    });
    return toldTopic(made);
  }

  /** Also if it is gone already. */
  async remove({ id }: ToldTopic, signal?: AbortSignal): Promise<void> {
    const about = `removal of notification ${id} of bucket ${this.#requests.bucket}`;
    const path = `${this.#path}/${encodeURIComponent(id)}`;
    const call = { operation: "notificationRemove", about, method: "DELETE", path, signal } as const;
    await this.#requests.askOnce(call, this.#requests.metadataBudget().limitMs, [404]);
  }

  async #ask<T extends object>(call: Call): Promise<T> {
    const answer = await this.#requests.askOnce(call, this.#requests.metadataBudget().limitMs);
    return dated(answer, (json) => (json ?? {}) as T).value;
  }

  get #path(): string {
    return `${this.#requests.bucketPath}/notificationConfigs`;
  }
}

function covers({ topic, event_types, object_name_prefix = "" }: ConfigResource, prefix: string): boolean {
  const all = event_types === undefined || neededEvents.every((type) => event_types.includes(type));
  return all && prefix.startsWith(object_name_prefix) && topic?.startsWith(topicAddress) === true;
}

function toldTopic({ id = "", topic = "" }: ConfigResource): ToldTopic {
  return { id, topic: topic.slice(topicAddress.length) };
}
