import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import { createLog } from "../../telemetry/log.ts";
import { BucketError } from "../errors.ts";
import { sharedLocalGcs, type Session } from "../local-gcs.fixture.ts";
import { bytesSource, refuse, sendJson, serve } from "../service.fixture.ts";
import type { ObjectChange } from "./change-message.ts";
import { openFeed, pubSubEndpoint, type FeedOptions } from "./open-feed.ts";

const gcs = sharedLocalGcs(test);

async function until<T>(look: () => T | undefined | Promise<T | undefined>, limitMs = 30_000): Promise<T> {
  for (const endMs = Date.now() + limitMs; ; await delay(10)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms`);
  }
}

interface Line {
  readonly severity: string;
  readonly message: string;
  readonly subscription?: string;
  readonly remedy?: string;
}

/** A feed of a bucket that ends with the test. */
function listening(t: ExecutionContext, options: Partial<FeedOptions> & { bucket: string }) {
  const lines: Line[] = [];
  const changes: ObjectChange[] = [];
  const log = createLog("info", { write: (line) => lines.push(JSON.parse(line) as Line) });
  const where = { endpoint: gcs().url, prefix: "", subscription: "auto", project: undefined };
  const feed = openFeed({ ...where, mountId: randomUUID(), deadlineMs: 20_000, log, ...options });
  t.teardown(() => feed.close());
  feed.start((change) => changes.push(change));
  const said = (message: string): Promise<Line> =>
    until(() => lines.find((line) => line.message.includes(message)));
  return { feed, lines, changes, said };
}

const LISTENING = "listening to notifications";

async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(gcs().url + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

const put = (bucket: Session["bucket"], name: string) =>
  bucket.insert(name, bytesSource(Buffer.from(name)), "absent", {}, { operationId: `m:${name}` });

test("a change made by anybody is heard of, with what is needed made by itself and removed at the end", async (t) => {
  const { bucket } = await gcs().session(t);
  const { feed, changes, said } = listening(t, { bucket: bucket.name });
  const { subscription = "" } = await said(LISTENING);
  t.regex(subscription, new RegExp(`^projects/local/subscriptions/sidemount-${bucket.name}-[0-9a-f-]+$`));
  t.like(await ask("GET", `/v1/${subscription}`), {
    topic: `projects/local/topics/sidemount-${bucket.name}`,
    messageRetentionDuration: "600s",
    expirationPolicy: { ttl: "86400s" },
  });
  const { value } = await put(bucket, "a");
  await until(() => changes.at(0));
  t.like(changes, [{ object: "a", kind: "written", generation: value.generation }]);
  await bucket.remove("a", value.generation);
  await until(() => changes.at(1));
  t.like(changes[1], { object: "a", kind: "removed", generation: value.generation });
  await feed.close();
  t.is((await fetch(`${gcs().url}/v1/${subscription}`)).status, 404);
  await put(bucket, "b");
  t.is(changes.length, 2);
});

test("mounts share one notification of the bucket, also if they start together", async (t) => {
  const { bucket } = await gcs().session(t);
  const feeds = Array.from({ length: 4 }, () => listening(t, { bucket: bucket.name }));
  await Promise.all(feeds.map(({ said }) => said(LISTENING)));
  const path = `/storage/v1/b/${bucket.name}/notificationConfigs`;
  await until(async () => {
    const { items } = (await ask("GET", path)) as { items: { event_types: string[] }[] };
    return items.length === 1 ? true : undefined;
  });
  await put(bucket, "a");
  for (const { changes } of feeds) t.is((await until(() => changes.at(0))).object, "a");
});

test("a topic that hears of everything already is listened to, in whatever project it is", async (t) => {
  const { bucket } = await gcs().session(t);
  const path = `/storage/v1/b/${bucket.name}/notificationConfigs`;
  const tell = async (name: string, config: object): Promise<void> => {
    await ask("PUT", `/v1/${name}`);
    await ask("POST", path, { topic: `//pubsub.googleapis.com/${name}`, payload_format: "NONE", ...config });
  };
  await tell("projects/others/topics/removals", { event_types: ["OBJECT_DELETE"] });
  await tell("projects/others/topics/elsewhere", { object_name_prefix: "photos/old/" });
  await tell("projects/others/topics/everything", { object_name_prefix: "photos/" });
  const { changes, said } = listening(t, { bucket: bucket.name, prefix: "photos/", project: "ours" });
  const { subscription = "" } = await said(LISTENING);
  t.true(subscription.startsWith("projects/ours/subscriptions/"));
  t.like(await ask("GET", `/v1/${subscription}`), { topic: "projects/others/topics/everything" });
  await put(bucket, "photos/a");
  t.is((await until(() => changes.at(0))).object, "photos/a");
});

test("a subscription that is gone is made anew, with its topic if that is gone too", async (t) => {
  const { bucket } = await gcs().session(t);
  const { lines, changes, said } = listening(t, { bucket: bucket.name });
  const { subscription = "" } = await said(LISTENING);
  await ask("DELETE", `/v1/projects/local/topics/sidemount-${bucket.name}`);
  await ask("DELETE", `/v1/${subscription}`);
  await until(() =>
    lines.filter(({ message }) => message.includes(LISTENING)).length > 1 ? true : undefined,
  );
  await put(bucket, "a");
  t.is((await until(() => changes.at(0))).object, "a");
  t.true(lines.every(({ severity }) => severity === "INFO"));
});

test("a subscription that was named is used as it is, and stays", async (t) => {
  const { bucket } = await gcs().session(t);
  const topic = `projects/p/topics/t-${bucket.name}`;
  const subscription = `projects/p/subscriptions/s-${bucket.name}`;
  const { said, lines, changes, feed } = listening(t, { bucket: bucket.name, subscription });
  const { remedy } = await said("no notifications of the bucket");
  t.regex(remedy ?? "", new RegExp(`${subscription} --member`));
  await ask("PUT", `/v1/${topic}`);
  await ask("PUT", `/v1/${subscription}`, { topic });
  const config = { topic: `//pubsub.googleapis.com/${topic}`, payload_format: "JSON_API_V1" };
  await ask("POST", `/storage/v1/b/${bucket.name}/notificationConfigs`, config);
  await put(bucket, "a");
  t.is((await until(() => changes.at(0))).object, "a");
  await said("come again");
  await feed.close();
  t.like(await ask("GET", `/v1/${subscription}`), { topic });
  t.is(lines.filter(({ severity }) => severity === "WARNING").length, 1);
});

test("a service that refuses is complained of once, with the remedy, and closing does not wait for it", async (t) => {
  const service = await serve(t, (_, response) => refuse(response, 403, "forbidden", "not you"));
  const { said, lines, feed } = listening(t, { bucket: "b", endpoint: service.url });
  const { remedy } = await said("no notifications of the bucket");
  t.regex(remedy ?? "", /roles\/pubsub\.editor.*roles\/pubsub\.publisher.*--notifications projects\//);
  await until(() => (service.asked.length >= 4 ? true : undefined)); // it goes on trying
  const startedMs = Date.now();
  await feed.close();
  t.true(Date.now() - startedMs < 5_000);
  t.is(lines.filter(({ severity }) => severity !== "INFO").length, 1);
});

test("a service that is out for a while is asked again, in less and less of a hurry", async (t) => {
  const times: number[] = [];
  const service = await serve(t, (_, response) => {
    times.push(Date.now());
    return times.length < 4 ? refuse(response, 503, "backendError") : sendJson(response, 200, {});
  });
  const subscription = "projects/p/subscriptions/s";
  const { said, lines } = listening(t, { bucket: "b", endpoint: service.url, subscription });
  await said("come again");
  t.is(
    lines.filter(({ severity }) => severity === "WARNING").length,
    1,
    "said when it happened the third time",
  );
  const pauses = times.slice(1, 4).map((time, index) => time - (times[index] ?? 0));
  t.true((pauses[0] ?? 0) >= 450 && (pauses[1] ?? 0) >= 950 && (pauses[2] ?? 0) >= 1950, pauses.join());
  // And one that answers at once that there is nothing is not asked without end.
  const before = service.asked.length;
  await delay(1000);
  t.true(service.asked.length - before <= 5);
});

test("a connection that is cut after a long silence is no trouble: there was nothing to hear", async (t) => {
  const service = await serve(t, (_, response) => response.destroy());
  let nowMs = 0;
  const subscription = "projects/p/subscriptions/s";
  const clock = (): number => (nowMs += 40_000);
  const { lines } = listening(t, { bucket: "b", endpoint: service.url, subscription, clock });
  await until(() => (service.asked.length >= 5 ? true : undefined));
  t.true(lines.every(({ severity }) => severity === "INFO"));
  const hasty = listening(t, { bucket: "b", endpoint: service.url, subscription });
  await hasty.said("no notifications of the bucket");
});

test("messages that mean nothing to us are acknowledged as well", async (t) => {
  const pulls = [
    { receivedMessages: [{ ackId: "1" }, { ackId: "2", message: { attributes: { eventType: "X" } } }] },
  ];
  const acknowledged: string[] = [];
  const service = await serve(t, async (request, response) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    if (request.url?.endsWith(":acknowledge")) acknowledged.push(body);
    sendJson(response, 200, request.url?.endsWith(":pull") ? (pulls.shift() ?? {}) : {});
  });
  const subscription = "projects/p/subscriptions/s";
  const { changes } = listening(t, { bucket: "b", endpoint: service.url, subscription });
  await until(() => acknowledged.at(0));
  t.deepEqual(acknowledged, ['{"ackIds":["1","2"]}']);
  t.deepEqual(changes, []);
});

test("Google's Pub/Sub has an address of its own; any other server answers for both", (t) => {
  t.is(pubSubEndpoint("https://storage.googleapis.com"), "https://pubsub.googleapis.com");
  t.is(pubSubEndpoint("https://storage.us-east1.rep.googleapis.com"), "https://pubsub.googleapis.com");
  t.is(pubSubEndpoint("http://127.0.0.1:4443"), "http://127.0.0.1:4443");
});

test("the project is that of the credentials, and where they have none it is asked for", async (t) => {
  const bare = { headers: () => ({}), renewed: () => Promise.resolve({}) };
  const endpoint = "https://storage.googleapis.com:1"; // nobody listens there
  const { said } = listening(t, { bucket: "b", endpoint, credentials: bare });
  await said("no notifications of the bucket");
  const knowing = { ...bare, project: () => Promise.reject(new BucketError("invalid", "asked")) };
  const other = listening(t, { bucket: "b", endpoint, credentials: knowing });
  await other.said("no notifications of the bucket");
  t.true(JSON.stringify(other.lines).includes("asked"));
});
