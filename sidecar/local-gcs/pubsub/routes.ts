// The few calls of Pub/Sub's REST interface that this server answers, by their paths.

export type PubSubMethod =
  | "pubsub.topics.create"
  | "pubsub.topics.get"
  | "pubsub.topics.delete"
  | "pubsub.topics.publish"
  | "pubsub.subscriptions.create"
  | "pubsub.subscriptions.get"
  | "pubsub.subscriptions.delete"
  | "pubsub.subscriptions.pull"
  | "pubsub.subscriptions.acknowledge"
  | "pubsub.subscriptions.modifyAckDeadline";

const methods: Readonly<Record<string, PubSubMethod>> = {
  "PUT topics": "pubsub.topics.create",
  "GET topics": "pubsub.topics.get",
  "DELETE topics": "pubsub.topics.delete",
  "POST topics:publish": "pubsub.topics.publish",
  "PUT subscriptions": "pubsub.subscriptions.create",
  "GET subscriptions": "pubsub.subscriptions.get",
  "DELETE subscriptions": "pubsub.subscriptions.delete",
  "POST subscriptions:pull": "pubsub.subscriptions.pull",
  "POST subscriptions:acknowledge": "pubsub.subscriptions.acknowledge",
  "POST subscriptions:modifyAckDeadline": "pubsub.subscriptions.modifyAckDeadline",
};

/** The call behind `verb` and a raw path, with the resource it is about (`projects/p/topics/t`). */
export function pubSubRoute(
  verb: string,
  rawPath: string,
): { method: PubSubMethod; object: string } | undefined {
  const [, object, kind, action = ""] =
    /^\/v1\/(projects\/[^/]+\/(topics|subscriptions)\/[^/:]+)(:\w+)?$/.exec(rawPath) ?? [];
  if (object === undefined) return undefined;
  const method = methods[`${verb} ${kind}${action}`];
  return method === undefined ? undefined : { method, object };
}
