// Calls about a bucket's notification configurations. Making or deleting one is a change of the bucket.

import { ApiError, invalid, required } from "../api-error.ts";
import {
  emptyAnswer,
  jsonAnswer,
  jsonObject,
  readJson,
  textMember,
  type Answer,
  type Call,
} from "../call.ts";
import { eventTypes, type EventType, type NotificationConfig } from "../notifications.ts";
import type { JsonObject } from "../properties.ts";
import type { StoredBucket } from "../resources.ts";
import type { Store } from "../store.ts";

// https://cloud.google.com/storage/docs/pubsub-notifications#notification_configurations
const maxConfigs = 100;
const maxConfigsPerEvent = 10;
const maxAttributes = 5;

export async function insertNotification(store: Store, call: Call): Promise<Answer> {
  const asked = configOf(await readJson(call.body));
  const config = await store.commit(() => {
    const bucket = store.buckets.get(call.bucket);
    checkTopic(store, asked.topic);
    const { notifications = [] } = bucket;
    checkNumber([...notifications, asked]);
    const lastId = (bucket.lastNotificationId ?? 0) + 1;
    const made: NotificationConfig = { ...asked, id: String(lastId) };
    change(store, { ...bucket, lastNotificationId: lastId }, [...notifications, made]);
    return made;
  });
  return jsonAnswer(notificationResource(call, config));
}

/** All in one page, as the service does. */
export function listNotifications(store: Store, call: Call): Answer {
  const { notifications = [] } = store.buckets.get(call.bucket);
  const items = notifications.map((config) => notificationResource(call, config));
  return jsonAnswer({ kind: "storage#notifications", ...(items.length === 0 ? {} : { items }) });
}

export function getNotification(store: Store, call: Call): Answer {
  return jsonAnswer(notificationResource(call, find(store.buckets.get(call.bucket), call.object)));
}

export async function deleteNotification(store: Store, call: Call): Promise<Answer> {
  await store.commit(() => {
    const bucket = store.buckets.get(call.bucket);
    const config = find(bucket, call.object);
    change(
      store,
      bucket,
      (bucket.notifications ?? []).filter((each) => each !== config),
    );
  });
  return emptyAnswer(204);
}

function change(store: Store, bucket: StoredBucket, notifications: readonly NotificationConfig[]): void {
  const metageneration = bucket.metageneration + 1;
  store.buckets.put({ ...bucket, notifications, metageneration, updatedMs: store.clock.nowMs() });
}

function find({ name, notifications = [] }: StoredBucket, id: string): NotificationConfig {
  const config = notifications.find((each) => each.id === id);
  if (config === undefined)
    throw new ApiError(404, "notFound", `The notification ${id} of bucket ${name} does not exist.`);
  return config;
}

function checkTopic(store: Store, topic: string): void {
  if (store.pubSub.hasTopic(topic)) return;
  const message = `Cloud Pub/Sub topic '//pubsub.googleapis.com/${topic}' not found, or the bucket's service agent does not have permission to publish to it.`;
  throw invalid(message);
}

function checkNumber(configs: readonly Omit<NotificationConfig, "id">[]): void {
  const crowded = eventTypes.some(
    (type) => configs.filter((each) => each.eventTypes?.includes(type) ?? true).length > maxConfigsPerEvent,
  );
  if (configs.length > maxConfigs || crowded) {
    throw invalid(
      `A bucket can have ${maxConfigs} notification configurations, ${maxConfigsPerEvent} for one event.`,
    );
  }
}

function configOf(resource: JsonObject): Omit<NotificationConfig, "id"> {
  const [, topic] =
    /^\/\/pubsub\.googleapis\.com\/(projects\/[^/]+\/topics\/[^/]+)$/.exec(
      textMember(resource, "topic") ?? "",
    ) ?? [];
  if (topic === undefined) throw invalid("Invalid value for topic.");
  const payloadFormat = textMember(resource, "payload_format");
  if (payloadFormat === undefined) throw required("payload_format");
  if (payloadFormat !== "NONE" && payloadFormat !== "JSON_API_V1")
    throw invalid("Invalid value for payload_format.");
  return {
    topic,
    eventTypes: eventTypesOf(resource["event_types"]),
    objectNamePrefix: textMember(resource, "object_name_prefix") ?? "",
    payloadFormat,
    customAttributes: attributesOf(jsonObject(resource["custom_attributes"])),
  };
}

function eventTypesOf(value: unknown): readonly EventType[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid("Invalid value for event_types.");
  const types = value.map((each) => eventTypes.find((type) => type === each));
  if (types.includes(undefined)) throw invalid("Invalid value for event_types.");
  return types.length === 0 ? undefined : (types as EventType[]);
}

function attributesOf(resource: JsonObject): Record<string, string> {
  const names = Object.keys(resource);
  if (names.length > maxAttributes) throw invalid(`At most ${maxAttributes} custom attributes are allowed.`);
  return Object.fromEntries(names.map((name) => [name, textMember(resource, name) ?? ""]));
}

function notificationResource(call: Call, config: NotificationConfig): Record<string, unknown> {
  const { id, topic, objectNamePrefix, payloadFormat, customAttributes } = config;
  return {
    kind: "storage#notification",
    id,
    selfLink: `${call.baseUrl}/storage/v1/b/${call.bucket}/notificationConfigs/${id}`,
    topic: `//pubsub.googleapis.com/${topic}`,
    event_types: config.eventTypes,
    object_name_prefix: objectNamePrefix === "" ? undefined : objectNamePrefix,
    payload_format: payloadFormat,
    custom_attributes: Object.keys(customAttributes).length === 0 ? undefined : customAttributes,
    etag: id,
  };
}
