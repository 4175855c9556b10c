import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";
import { session, spawnServer, temporaryDirectory, type Client } from "../testing.ts";
import { MessageQueue } from "./message-queue.ts";

const TOPIC = "/v1/projects/p/topics/changes";
const SUBSCRIPTION = "/v1/projects/p/subscriptions/mine";
const never = new AbortController().signal;

async function subscribed(t: ExecutionContext) {
  const gcs = await session(t);
  t.is((await gcs.send("PUT", TOPIC)).status, 200);
  t.is((await gcs.send("PUT", SUBSCRIPTION, { body: { topic: TOPIC.slice(4) } })).status, 200);
  return gcs;
}

const post = async (gcs: Client, path: string, body: object) => (await gcs.send("POST", path, { body })).json;
const publish = (gcs: Client, ...names: string[]) =>
  post(gcs, `${TOPIC}:publish`, { messages: names.map((name) => ({ attributes: { name } })) });

async function pull(gcs: Client, more: object = { returnImmediately: true }) {
  const { receivedMessages = [] } = await post(gcs, `${SUBSCRIPTION}:pull`, { maxMessages: 100, ...more });
  return (receivedMessages as { ackId: string; message: { attributes: { name: string } } }[]).map(
    ({ ackId, message }) => ({ ackId, name: message.attributes.name }),
  );
}

test("topics and subscriptions are made once, shown, and removed", async (t) => {
  const gcs = await subscribed(t);
  t.is((await gcs.send("PUT", TOPIC)).status, 409);
  t.like((await gcs.send("PUT", SUBSCRIPTION, { body: { topic: TOPIC.slice(4) } })).json, {
    error: { code: 409, status: "ALREADY_EXISTS" },
  });
  t.deepEqual((await gcs.get(TOPIC)).json, { name: TOPIC.slice(4) });
  t.like((await gcs.get(SUBSCRIPTION)).json, {
    topic: TOPIC.slice(4),
    ackDeadlineSeconds: 10,
    messageRetentionDuration: "604800s",
    expirationPolicy: { ttl: "2678400s" },
  });
  t.is((await gcs.send("DELETE", TOPIC)).status, 200);
  t.is((await gcs.get(TOPIC)).status, 404);
  t.like((await gcs.get(SUBSCRIPTION)).json, { topic: "_deleted-topic_" });
  t.is((await gcs.send("DELETE", SUBSCRIPTION)).status, 200);
  t.is((await gcs.send("DELETE", SUBSCRIPTION)).status, 404);
  t.is((await gcs.send("POST", `${SUBSCRIPTION}:pull`, { body: { maxMessages: 1 } })).status, 404);
});

test("a subscription that cannot be is refused", async (t) => {
  const gcs = await subscribed(t);
  const statusOf = async (body: object, name = "/v1/projects/p/subscriptions/other") =>
    (await gcs.send("PUT", name, { body: { topic: TOPIC.slice(4), ...body } })).status;
  t.is(await statusOf({ topic: "projects/p/topics/none" }), 404);
  t.is(await statusOf({ expirationPolicy: { ttl: "60s" } }), 400);
  t.is(await statusOf({ messageRetentionDuration: "10s" }), 400);
  t.is(await statusOf({ messageRetentionDuration: "10m" }), 400);
  t.is(await statusOf({ ackDeadlineSeconds: 5 }), 400);
  t.is(await statusOf({}, "/v1/projects/p/subscriptions/goog-1"), 400);
  const good = {
    expirationPolicy: { ttl: "86400s" },
    messageRetentionDuration: "600s",
    ackDeadlineSeconds: 30,
  };
  t.is(await statusOf(good), 200);
  t.is(await statusOf({ expirationPolicy: {} }, "/v1/projects/p/subscriptions/for-ever"), 200);
});

test("a message comes until it is acknowledged, to each subscription of its topic", async (t) => {
  const gcs = await subscribed(t);
  await gcs.send("PUT", "/v1/projects/p/subscriptions/other", { body: { topic: TOPIC.slice(4) } });
  await publish(gcs, "a", "b");
  const [a, b] = await pull(gcs);
  t.deepEqual([a?.name, b?.name], ["a", "b"]);
  t.deepEqual(await pull(gcs), [], "somebody has them");
  await post(gcs, `${SUBSCRIPTION}:acknowledge`, { ackIds: [a?.ackId] });
  await post(gcs, `${SUBSCRIPTION}:modifyAckDeadline`, {
    ackIds: [a?.ackId, b?.ackId],
    ackDeadlineSeconds: 0,
  });
  t.deepEqual(
    (await pull(gcs)).map(({ name }) => name),
    ["b"],
  );
  const other = await post(gcs, "/v1/projects/p/subscriptions/other:pull", { maxMessages: 1 });
  t.is((other["receivedMessages"] as unknown[]).length, 1, "no more than were asked for");
});

test("a pull waits for a message, and ends when its subscription does", async (t) => {
  const gcs = await subscribed(t);
  const waiting = pull(gcs, {});
  await publish(gcs, "late");
  t.deepEqual(
    (await waiting).map(({ name }) => name),
    ["late"],
  );
  const ending = gcs.send("POST", `${SUBSCRIPTION}:pull`, { body: { maxMessages: 1 } });
  await delay(50);
  await gcs.send("DELETE", SUBSCRIPTION);
  t.is((await ending).status, 404);
});

test("a client that goes away while it waits takes no message with it", async (t) => {
  const queue = new MessageQueue({ retentionMs: 60_000, ackDeadlineMs: 10_000 }, () => 0);
  const leaving = new AbortController();
  const gone = queue.pull(10, 60_000, leaving.signal);
  leaving.abort();
  queue.add({ messageId: "1", publishTime: "", attributes: {} });
  t.deepEqual(await gone, []);
  t.is((await queue.pull(10, 0, never)).length, 1);
});

test("the server ends although somebody waits for messages", async (t) => {
  const gcs = await subscribed(t);
  const waiting = t.throwsAsync(gcs.send("POST", `${SUBSCRIPTION}:pull`, { body: { maxMessages: 1 } }));
  await delay(50);
  const startedMs = Date.now();
  await gcs.server.close();
  await waiting;
  t.true(Date.now() - startedMs < 5_000);
});

test("topics, subscriptions and configurations outlive the server; messages nobody fetched do not", async (t) => {
  const directory = await temporaryDirectory(t);
  const first = await spawnServer(t, directory);
  await first.send("PUT", TOPIC);
  await first.send("PUT", SUBSCRIPTION, { body: { topic: TOPIC.slice(4) } });
  const config = { topic: `//pubsub.googleapis.com/${TOPIC.slice(4)}`, payload_format: "NONE" };
  await first.send("POST", "/storage/v1/b/bkt/notificationConfigs", { body: config });
  await first.put("before", "1");
  await first.kill();
  const second = await spawnServer(t, directory);
  await second.put("after", "1");
  const { receivedMessages } = await post(second, `${SUBSCRIPTION}:pull`, { maxMessages: 10 });
  t.like(receivedMessages, [{ message: { attributes: { objectId: "after" } } }]);
  t.is((receivedMessages as unknown[]).length, 1);
});

test("a message whose time to be acknowledged is over comes again, for as long as it is kept", async (t) => {
  let nowMs = 0;
  const queue = new MessageQueue({ retentionMs: 60_000, ackDeadlineMs: 10_000 }, () => nowMs);
  queue.add({ messageId: "1", publishTime: "", attributes: {} });
  t.is((await queue.pull(10, 0, never)).length, 1);
  nowMs = 9_999;
  t.is((await queue.pull(10, 0, never)).length, 0);
  nowMs = 10_000;
  const [again] = await queue.pull(10, 0, never);
  t.is(again?.message.messageId, "1");
  nowMs = 70_000;
  t.is((await queue.pull(10, 0, never)).length, 0);
  t.is(queue.size, 0);
});

test("of too many messages the oldest are dropped", async (t) => {
  const queue = new MessageQueue({ retentionMs: 60_000, ackDeadlineMs: 10_000 }, () => 0);
  for (let count = 1; count <= 10_005; count += 1)
    queue.add({ messageId: String(count), publishTime: "", attributes: {} });
  t.is(queue.size, 10_000);
  t.is((await queue.pull(1, 0, never))[0]?.message.messageId, "6");
});
