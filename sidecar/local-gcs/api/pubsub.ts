// Calls about topics and subscriptions, in the form of Pub/Sub's REST interface.

import { jsonAnswer, jsonObject, readJson, textMember, type Answer, type Call } from "../call.ts";
import type { JsonObject } from "../properties.ts";
import type { Subscription } from "../pubsub/pubsub.ts";
import { resourceNotFound, RpcError } from "../pubsub/rpc-error.ts";
import type { Store } from "../store.ts";

// https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
const ackDeadline = { least: 10, most: 600 };
const retention = { least: 600, most: 31 * 24 * 3600, usual: 7 * 24 * 3600 };
const expiration = { least: 24 * 3600, usual: 31 * 24 * 3600 };
/** How long a pull waits for a message. The service says "for a bounded amount of time". */
const pullWaitMs = 10_000;
const maxMessages = 1000;

const resourceId = /^(?!goog)[A-Za-z][\w.~+%-]{2,254}$/;

export async function createTopic(store: Store, call: Call): Promise<Answer> {
  const resource = { ...(await readJson(call.body)), name: call.object };
  checkName(call.object);
  await store.commit(() => store.pubSub.createTopic(call.object, resource));
  return jsonAnswer(resource);
}

export function getTopic(store: Store, call: Call): Answer {
  return jsonAnswer(store.pubSub.topic(call.object));
}

export async function deleteTopic(store: Store, call: Call): Promise<Answer> {
  await store.commit((transaction) => store.pubSub.deleteTopic(transaction, call.object));
  return jsonAnswer({});
}

/** Messages with attributes, data, or both. For whoever wants to say what no bucket says. */
export async function publish(store: Store, call: Call): Promise<Answer> {
  const { messages } = await readJson(call.body);
  store.pubSub.topic(call.object);
  if (!Array.isArray(messages) || messages.length === 0)
    throw new RpcError(400, "The value for messages is empty.");
  const messageIds = messages.map((each) => store.pubSub.publish(call.object, messageOf(jsonObject(each))));
  return jsonAnswer({ messageIds });
}

export async function createSubscription(store: Store, call: Call): Promise<Answer> {
  const resource = await readJson(call.body);
  checkName(call.object);
  const subscription = subscriptionOf(call.object, resource);
  await store.commit((transaction) => store.pubSub.createSubscription(transaction, subscription));
  return jsonAnswer(subscriptionResource(subscription));
}

export function getSubscription(store: Store, call: Call): Answer {
  return jsonAnswer(subscriptionResource(store.pubSub.subscription(call.object)));
}

export async function deleteSubscription(store: Store, call: Call): Promise<Answer> {
  await store.commit((transaction) => store.pubSub.deleteSubscription(transaction, call.object));
  return jsonAnswer({});
}

export async function pull(store: Store, call: Call): Promise<Answer> {
  const body = await readJson(call.body);
  const most = Number(body["maxMessages"]);
  if (!Number.isInteger(most) || most <= 0) throw new RpcError(400, "maxMessages must be a positive number.");
  const queue = store.pubSub.queue(call.object);
  const waitMs = body["returnImmediately"] === true ? 0 : pullWaitMs;
  const receivedMessages = await queue.pull(Math.min(most, maxMessages), waitMs, call.gone);
  if (queue.ended) throw resourceNotFound(call.object);
  return jsonAnswer(receivedMessages.length === 0 ? {} : { receivedMessages });
}

export async function acknowledge(store: Store, call: Call): Promise<Answer> {
  const body = await readJson(call.body);
  store.pubSub.queue(call.object).acknowledge(ackIdsOf(body));
  return jsonAnswer({});
}

export async function modifyAckDeadline(store: Store, call: Call): Promise<Answer> {
  const body = await readJson(call.body);
  const seconds = Number(body["ackDeadlineSeconds"] ?? 0);
  if (!(seconds >= 0 && seconds <= ackDeadline.most))
    throw new RpcError(400, "ackDeadlineSeconds is out of range.");
  store.pubSub.queue(call.object).modifyDeadline(ackIdsOf(body), seconds * 1000);
  return jsonAnswer({});
}

function checkName(name: string): void {
  if (!resourceId.test(name.split("/").at(-1) ?? ""))
    throw new RpcError(400, `Invalid resource name given (name=${name}).`);
}

function ackIdsOf(body: JsonObject): string[] {
  const { ackIds } = body;
  if (!Array.isArray(ackIds) || ackIds.length === 0) throw new RpcError(400, "No ack ids specified.");
  return ackIds.map(String);
}

function messageOf(message: JsonObject): { attributes: Record<string, string>; data?: string } {
  const given = Object.entries(jsonObject(message["attributes"]));
  const data = textMember(message, "data");
  if (given.length === 0 && data === undefined)
    throw new RpcError(400, "A message must have data or attributes.");
  const attributes = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
  return { attributes, ...(data === undefined ? {} : { data }) };
}

function subscriptionOf(name: string, resource: JsonObject): Subscription {
  const policy = resource["expirationPolicy"];
  // A policy without a time to live means that it never expires.
  const ttl = policy === undefined ? `${expiration.usual}s` : textMember(jsonObject(policy), "ttl");
  const expiresAfter = ttl === undefined ? undefined : secondsOf("expirationPolicy.ttl", ttl);
  if (expiresAfter !== undefined && expiresAfter < expiration.least)
    throw new RpcError(400, "expirationPolicy.ttl must be at least one day.");
  const kept = secondsOf(
    "messageRetentionDuration",
    textMember(resource, "messageRetentionDuration") ?? `${retention.usual}s`,
  );
  if (kept < retention.least || kept > retention.most)
    throw new RpcError(400, "messageRetentionDuration is out of range.");
  const deadline = Number(resource["ackDeadlineSeconds"] ?? 0) || ackDeadline.least;
  if (!(deadline >= ackDeadline.least && deadline <= ackDeadline.most))
    throw new RpcError(400, "ackDeadlineSeconds is out of range.");
  return {
    name,
    topic: textMember(resource, "topic") ?? "",
    ackDeadlineMs: deadline * 1000,
    retentionMs: kept * 1000,
    expiresAfterMs: expiresAfter === undefined ? undefined : expiresAfter * 1000,
    resource,
  };
}

/** Durations are written `600s`. */
function secondsOf(member: string, text: string): number {
  const [, seconds] = /^(\d+(?:\.\d+)?)s$/.exec(text) ?? [];
  if (seconds === undefined) throw new RpcError(400, `Invalid value for ${member}: ${text}`);
  return Number(seconds);
}

function subscriptionResource(subscription: Subscription): Record<string, unknown> {
  const { name, topic, ackDeadlineMs, retentionMs, expiresAfterMs, resource } = subscription;
  return {
    ...resource,
    name,
    topic,
    ackDeadlineSeconds: ackDeadlineMs / 1000,
    messageRetentionDuration: `${retentionMs / 1000}s`,
    expirationPolicy: expiresAfterMs === undefined ? {} : { ttl: `${expiresAfterMs / 1000}s` },
    state: "ACTIVE",
  };
}
