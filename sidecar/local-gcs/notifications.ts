// Bucket notifications: which topic of Pub/Sub is told of which changes, and what it is told.
//
// A bucket's configurations are kept with it. A bucket without any costs nothing. There are no events of folders, and
// none of the objects below one that is renamed: the service documents none.

import type { Transaction } from "./database.ts";
import type { StoredObject } from "./objects.ts";
import type { PubSub } from "./pubsub/pubsub.ts";
import { objectResource, type StoredBucket } from "./resources.ts";

export type EventType = "OBJECT_FINALIZE" | "OBJECT_METADATA_UPDATE" | "OBJECT_DELETE" | "OBJECT_ARCHIVE";

/** Archiving is for buckets with versions, which this server does not keep; a configuration may name it all the same. */
export const eventTypes: readonly EventType[] = [
  "OBJECT_FINALIZE",
  "OBJECT_METADATA_UPDATE",
  "OBJECT_DELETE",
  "OBJECT_ARCHIVE",
];

/** Who is told of what. */
export interface NotificationConfig {
  readonly id: string;
  /** `projects/p/topics/t`. */
  readonly topic: string;
  /** Undefined: of all. */
  readonly eventTypes: readonly EventType[] | undefined;
  readonly objectNamePrefix: string;
  readonly payloadFormat: "NONE" | "JSON_API_V1";
  readonly customAttributes: Readonly<Record<string, string>>;
}

/** What happened to an object. */
export interface ObjectEvent {
  readonly type: EventType;
  readonly object: StoredObject;
  /** When it happened, by the server's clock. */
  readonly atMs: number;
  /** The generation that this one took the place of. */
  readonly overwrote?: number | undefined;
  /** The generation that has taken its place. */
  readonly overwrittenBy?: number | undefined;
}

export class Notifications {
  readonly #pubSub: PubSub;

  constructor(pubSub: PubSub) {
    this.#pubSub = pubSub;
  }

  /** In a commit: tells whoever is to be told of it, once it is committed. */
  tell(transaction: Transaction, bucket: StoredBucket, event: ObjectEvent): void {
    for (const config of bucket.notifications ?? []) {
      if (!isAbout(config, event)) continue;
      transaction.afterCommit(() => this.#pubSub.publish(config.topic, messageOf(config, event)));
    }
  }
}

function isAbout(config: NotificationConfig, { type, object }: ObjectEvent): boolean {
  const wanted = config.eventTypes === undefined || config.eventTypes.includes(type);
  return wanted && object.name.startsWith(config.objectNamePrefix);
}

function messageOf(
  config: NotificationConfig,
  event: ObjectEvent,
): { attributes: Record<string, string>; data?: string } {
  const { type, object, atMs, overwrote, overwrittenBy } = event;
  const attributes = {
    ...config.customAttributes,
    notificationConfig: `projects/_/buckets/${object.bucket}/notificationConfigs/${config.id}`,
    eventType: type,
    payloadFormat: config.payloadFormat,
    bucketId: object.bucket,
    objectId: object.name,
    objectGeneration: String(object.generation),
    eventTime: new Date(atMs).toISOString(),
    ...(overwrote === undefined ? {} : { overwroteGeneration: String(overwrote) }),
    ...(overwrittenBy === undefined ? {} : { overwrittenByGeneration: String(overwrittenBy) }),
  };
  if (config.payloadFormat === "NONE") return { attributes };
  // Its links have no host: nobody's request tells how this server is called.
  const payload = JSON.stringify(objectResource(object, ""));
  return { attributes, data: Buffer.from(payload).toString("base64") };
}
