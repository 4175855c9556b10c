import test, { type ExecutionContext } from "ava";
import { folderPath, objectPath, session, type Client, type Reply } from "./testing.ts";

const TOPIC = "projects/p/topics/changes";
const SUBSCRIPTION = "projects/p/subscriptions/mine";
const CONFIGS = "/storage/v1/b/bkt/notificationConfigs";

type Attributes = Record<string, string>;
interface Received {
  readonly ackId: string;
  readonly message: { readonly attributes: Attributes; readonly data?: string; readonly messageId: string };
}

const made = async (reply: Promise<Reply>) => {
  const answer = await reply;
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json;
};

async function subscribed(t: ExecutionContext, config: object = {}, hierarchical = false) {
  const gcs = await session(t, { hierarchical });
  await made(gcs.send("PUT", `/v1/${TOPIC}`));
  await made(gcs.send("PUT", `/v1/${SUBSCRIPTION}`, { body: { topic: TOPIC } }));
  const topic = `//pubsub.googleapis.com/${TOPIC}`;
  await made(gcs.send("POST", CONFIGS, { body: { topic, payload_format: "NONE", ...config } }));
  return gcs;
}

async function received(gcs: Client): Promise<Received[]> {
  const body = { maxMessages: 1000, returnImmediately: true };
  const { receivedMessages = [] } = await made(gcs.send("POST", `/v1/${SUBSCRIPTION}:pull`, { body }));
  return receivedMessages as Received[];
}

/** What has happened since it was last asked, as `TYPE name`. */
async function events(gcs: Client): Promise<string[]> {
  return (await received(gcs)).map(
    ({ message: { attributes } }) =>
      `${attributes["eventType"]?.replace("OBJECT_", "")} ${attributes["objectId"]}`,
  );
}

test("a configuration is made, listed, shown and removed; each is a change of the bucket", async (t) => {
  const gcs = await session(t);
  const topic = `//pubsub.googleapis.com/${TOPIC}`;
  const body = { topic, payload_format: "JSON_API_V1", event_types: ["OBJECT_DELETE"] };
  const more = { object_name_prefix: "a/", custom_attributes: { colour: "blue" } };
  t.regex((await gcs.send("POST", CONFIGS, { body })).text, /topic .* not found/);
  await made(gcs.send("PUT", `/v1/${TOPIC}`));
  t.like(await made(gcs.send("POST", CONFIGS, { body })), { kind: "storage#notification", id: "1", ...body });
  t.like(await made(gcs.send("POST", CONFIGS, { body: { ...body, ...more } })), { id: "2", ...more });
  const { kind, items } = await made(gcs.get(CONFIGS));
  t.is(kind, "storage#notifications");
  t.is((items as unknown[]).length, 2);
  t.like(await made(gcs.get(`${CONFIGS}/2`)), { id: "2", topic });
  t.is((await gcs.send("DELETE", `${CONFIGS}/2`)).status, 204);
  t.is((await gcs.send("DELETE", `${CONFIGS}/2`)).status, 404);
  t.is((await gcs.get(`${CONFIGS}/2`)).status, 404);
  t.like(await made(gcs.get("/storage/v1/b/bkt")), { metageneration: "4" });
  t.like(await made(gcs.send("POST", CONFIGS, { body })), { id: "3" });
});

test("a configuration that makes no sense is refused, and so are too many", async (t) => {
  const gcs = await subscribed(t);
  const topic = `//pubsub.googleapis.com/${TOPIC}`;
  const statusOf = async (body: object) => (await gcs.send("POST", CONFIGS, { body })).status;
  t.is(await statusOf({ topic }), 400);
  t.is(await statusOf({ topic: TOPIC, payload_format: "NONE" }), 400);
  t.is(await statusOf({ topic, payload_format: "XML" }), 400);
  t.is(await statusOf({ topic, payload_format: "NONE", event_types: ["OBJECT_READ"] }), 400);
  const custom_attributes = Object.fromEntries(["a", "b", "c", "d", "e", "f"].map((name) => [name, "x"]));
  t.is(await statusOf({ topic, payload_format: "NONE", custom_attributes }), 400);
  for (let count = 2; count <= 10; count += 1) t.is(await statusOf({ topic, payload_format: "NONE" }), 200);
  t.is(await statusOf({ topic, payload_format: "NONE", event_types: ["OBJECT_DELETE"] }), 400);
});

test("every change of an object is told, with its generations", async (t) => {
  const gcs = await subscribed(t);
  const first = (await gcs.put("a", "1")).json;
  const second = (await gcs.put("a", "2")).json;
  const [finalized, replacing, replaced, ...rest] = (await received(gcs)).map(
    ({ message }) => message.attributes,
  );
  t.deepEqual(rest, []);
  const common = {
    notificationConfig: "projects/_/buckets/bkt/notificationConfigs/1",
    payloadFormat: "NONE",
    bucketId: "bkt",
    objectId: "a",
  };
  const [one, two] = [String(first["generation"]), String(second["generation"])];
  const eventTime = (json: Record<string, unknown>) => json["updated"] as string;
  t.deepEqual(finalized, {
    ...common,
    eventType: "OBJECT_FINALIZE",
    objectGeneration: one,
    eventTime: eventTime(first),
  });
  t.deepEqual(replacing, {
    ...common,
    eventType: "OBJECT_FINALIZE",
    objectGeneration: two,
    eventTime: eventTime(second),
    overwroteGeneration: one,
  });
  t.deepEqual(replaced, {
    ...common,
    eventType: "OBJECT_DELETE",
    objectGeneration: one,
    eventTime: eventTime(second),
    overwrittenByGeneration: two,
  });
  const patched = await made(gcs.send("PATCH", objectPath("a"), { body: { metadata: { k: "v" } } }));
  const [update] = await received(gcs);
  t.like(update?.message.attributes, {
    eventType: "OBJECT_METADATA_UPDATE",
    objectGeneration: two,
    eventTime: eventTime(patched),
  });
});

test("copies and composed objects are new ones; a move is a new one and a removal", async (t) => {
  const gcs = await subscribed(t);
  await gcs.put("a", "1");
  await gcs.send("POST", `${objectPath("a")}/copyTo/b/bkt/o/b`);
  await gcs.send("POST", `${objectPath("a")}/rewriteTo/b/bkt/o/c`);
  await gcs.send("POST", `${objectPath("d")}/compose`, { body: { sourceObjects: [{ name: "a" }] } });
  await gcs.send("POST", `${objectPath("a")}/moveTo/o/e`);
  await gcs.send("DELETE", objectPath("b"));
  const upload = await gcs.startUpload("f");
  await gcs.send("PUT", upload, { body: "bytes" });
  t.deepEqual(await events(gcs), [
    "FINALIZE a",
    "FINALIZE b",
    "FINALIZE c",
    "FINALIZE d",
    "FINALIZE e",
    "DELETE a",
    "DELETE b",
    "FINALIZE f",
  ]);
});

test("what is refused is not told, and neither is what a configuration does not ask for", async (t) => {
  const gcs = await subscribed(t, { event_types: ["OBJECT_FINALIZE"], object_name_prefix: "in/" });
  await gcs.put("in/a", "1");
  await gcs.put("in/a", "2", "&ifGenerationMatch=7");
  await gcs.put("out/a", "1");
  await gcs.send("DELETE", objectPath("in/a"));
  t.deepEqual(await events(gcs), ["FINALIZE in/a"]);
});

test("a message may carry the object, and attributes of its owner's", async (t) => {
  const gcs = await subscribed(t, { payload_format: "JSON_API_V1", custom_attributes: { k: "v" } });
  await gcs.put("a", "hello");
  const [{ message } = {} as Received] = await received(gcs);
  t.like(message.attributes, { k: "v", payloadFormat: "JSON_API_V1" });
  t.like(JSON.parse(Buffer.from(message.data ?? "", "base64").toString()), { name: "a", size: "5" });
});

test("a rename of a folder of a hierarchical bucket is not told, as folders are not", async (t) => {
  const gcs = await subscribed(t, {}, true);
  await gcs.send("POST", folderPath(), { body: { name: "a/" } });
  await gcs.put("a/x", "1");
  await gcs.send("POST", `${folderPath("a/")}/renameTo/folders/${encodeURIComponent("b/")}`);
  t.deepEqual(await events(gcs), ["FINALIZE a/x"]);
  t.is((await gcs.media("b/x")).text, "1");
});
