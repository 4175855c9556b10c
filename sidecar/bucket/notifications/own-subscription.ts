// `--notifications auto`: a subscription of this mount's own, and a topic that hears of the bucket's changes.
//
// The topic and the bucket's notification are shared by all mounts of the bucket and stay. The subscription is
// deleted at a clean end, and goes by itself within a day otherwise.

import { isBucketError } from "../errors.ts";
import type { BucketTopics } from "./bucket-topics.ts";
import type { PubSub } from "./pubsub.ts";

/** Hints are worth nothing when trust has ended anyway: the least the service keeps messages is more than enough. */
const subscriptionSettings = {
  ackDeadlineSeconds: 10,
  messageRetentionDuration: "600s",
  expirationPolicy: { ttl: "86400s" },
} as const;

export interface OwnSubscriptionOptions {
  readonly bucket: string;
  /** Only changes below it matter. */
  readonly prefix: string;
  readonly project: string;
  /** No other mount has it. */
  readonly mountId: string;
  readonly signal: AbortSignal;
}

/** Makes what is missing of topic, notification and subscription; answers the subscription's name. */
export async function makeOwnSubscription(
  pubSub: PubSub,
  topics: BucketTopics,
  { bucket, prefix, project, mountId, signal }: OwnSubscriptionOptions,
): Promise<string> {
  const ours = `projects/${project}/topics/sidemount-${bucket}`;
  const told = await toldTopics(topics, prefix, signal);
  const topic = told?.find((each) => each === ours) ?? told?.[0] ?? ours;
  if (told?.length === 0) {
    await createIfAllowed(pubSub, ours, signal);
    await tellOnce(topics, ours, prefix, signal);
  }
  const name = `projects/${project}/subscriptions/sidemount-${bucket}-${mountId}`;
  const create = (): Promise<void> =>
    pubSub.createSubscription(name, { topic, ...subscriptionSettings }, signal);
  try {
    await create();
  } catch (error) {
    // The bucket still tells a topic that somebody has deleted since.
    if (topic !== ours || !isBucketError(error, "not-found")) throw error;
    await pubSub.createTopic(ours, signal);
    await create();
  }
  return name;
}

/** Undefined: these credentials may not look. Then whoever set it up is taken to have done so as we would have. */
async function toldTopics(
  topics: BucketTopics,
  prefix: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  try {
    return (await topics.list(prefix, signal)).map(({ topic }) => topic);
  } catch (error) {
    if (isBucketError(error, "forbidden")) return undefined;
    throw error;
  }
}

/** It may be there although we may make none. */
async function createIfAllowed(pubSub: PubSub, topic: string, signal: AbortSignal): Promise<void> {
  try {
    await pubSub.createTopic(topic, signal);
  } catch (error) {
    if (!isBucketError(error, "forbidden")) throw error;
  }
}

/** Two mounts that start together must not leave two notifications: every message would come twice for ever. */
async function tellOnce(
  topics: BucketTopics,
  topic: string,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  const added = await topics.add(topic, signal);
  const [first] = (await topics.list(prefix, signal)).filter((each) => each.topic === topic);
  if (first !== undefined && first.id !== added.id) await topics.remove(added, signal);
}
