// A feed of a bucket's changes, assembled: to which service it speaks, as whom, and in which project.

import { performance } from "node:perf_hooks";

import type { Log } from "../../telemetry/log.ts";
import { credentialsFor, type Credentials } from "../auth.ts";
import type { Clock } from "../budget.ts";
import { isGoogle } from "../endpoint.ts";
import { BucketError } from "../errors.ts";
import { Measure } from "../measure.ts";
import { Requests } from "../requests.ts";
import { Transport } from "../transport.ts";
import { BucketTopics } from "./bucket-topics.ts";
import { ChangeFeed } from "./change-feed.ts";
import type { ObjectChange } from "./change-message.ts";
import { makeOwnSubscription } from "./own-subscription.ts";
import { PubSub } from "./pubsub.ts";

export interface FeedOptions {
  readonly bucket: string;
  /** Only changes below it matter. */
  readonly prefix: string;
  /** Where the bucket is. */
  readonly endpoint: string;
  /** `auto`, or `projects/p/subscriptions/s`. */
  readonly subscription: string;
  /** A UUID. All workers of a mount have the same, and so the same subscription. */
  readonly mountId: string;
  /** For `auto`; undefined: the project of the credentials. */
  readonly project: string | undefined;
  /** How long one question may take in all. */
  readonly deadlineMs: number;
  readonly log: Log;
  /** Instead of the application default credentials. */
  readonly credentials?: Credentials;
  readonly clock?: Clock;
}

export interface Feed {
  /** Hands every change to `note`, which must not fail. Returns at once, whatever the service says. */
  start(note: (change: ObjectChange) => void): void;
  /** Ends it, within seconds. */
  close(): Promise<void>;
}

/** Servers that are not Google's have no projects. */
const localProject = "local";

/** Pub/Sub is asked where the bucket is, but for Google's, which has an address of its own for it. */
export function pubSubEndpoint(endpoint: string): string {
  if (!isGoogle(endpoint)) return endpoint;
  // Whoever stands in for Google at another port does so for all of it.
  const { port } = new URL(endpoint);
  return `https://pubsub.googleapis.com${port === "" ? "" : `:${port}`}`;
}

/** Connects to nothing yet. */
export function openFeed(options: FeedOptions): Feed {
  const { bucket, endpoint, subscription, log } = options;
  const credentials = options.credentials ?? credentialsFor(endpoint);
  const transports = [endpoint, pubSubEndpoint(endpoint)].map(
    (address) => new Transport(address, credentials, "sidemount", new Measure()),
  );
  const [toBucket, toPubSub] = transports.map((transport) => requestsOver(transport, options)) as [
    Requests,
    Requests,
  ];
  const pubSub = new PubSub(toPubSub);
  const own = subscription === "auto";
  const mountId = options.mountId.slice(0, 13);
  const subscribe = async (signal: AbortSignal): Promise<string> => {
    if (!own) return subscription;
    const project = await projectOf(options, credentials);
    const asked = { bucket, prefix: options.prefix, project, mountId, signal };
    return makeOwnSubscription(pubSub, new BucketTopics(toBucket), asked);
  };
  const remedy = own ? ownRemedy(bucket) : givenRemedy(subscription);
  const feed = new ChangeFeed(pubSub, {
    bucket,
    subscribe,
    own,
    remedy,
    random: Math.random,
    clock: clockOf(options),
    log,
  });
  return {
    start: (note) => feed.start(note),
    close: async () => {
      await feed.close();
      await Promise.all(transports.map((transport) => transport.close()));
    },
  };
}

function clockOf({ clock }: FeedOptions): Clock {
  return clock ?? (() => performance.now());
}

function requestsOver(transport: Transport, options: FeedOptions): Requests {
  const { bucket, deadlineMs, log } = options;
  return new Requests(
    bucket,
    transport,
    new Measure(),
    { deadlineMs, metadataDeadlineMs: deadlineMs },
    { clock: clockOf(options), random: Math.random, log },
  );
}

async function projectOf({ project, endpoint }: FeedOptions, credentials: Credentials): Promise<string> {
  if (project !== undefined) return project;
  if (!isGoogle(endpoint)) return localProject;
  const own = await credentials.project?.();
  if (own !== undefined) return own;
  throw new BucketError(
    "invalid",
    "the credentials do not say in which project to listen: name it with --project",
  );
}

function ownRemedy(bucket: string): string {
  return (
    "Allow this account roles/pubsub.editor in the project, storage.buckets.get and storage.buckets.update on bucket " +
    `${bucket}, and the project's Cloud Storage service agent roles/pubsub.publisher on the topic sidemount-${bucket}; ` +
    "or make a subscription and name it: --notifications projects/PROJECT/subscriptions/NAME. See docs/DEPLOY.md"
  );
}

function givenRemedy(subscription: string): string {
  return (
    `Make the subscription, or allow this account to use it: gcloud pubsub subscriptions add-iam-policy-binding ` +
    `${subscription} --member=serviceAccount:ACCOUNT --role=roles/pubsub.subscriber. See docs/DEPLOY.md`
  );
}
