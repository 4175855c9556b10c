import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import { isAway } from "./availability.ts";
import { bucketAt, refuse, sendJson, serve } from "./service.fixture.ts";

const LIMITS = { deadlineMs: 1_000, metadataDeadlineMs: 1_000 };

/** A service that answers 503 where `wrong` says so, else that nothing is there. */
async function moody(t: ExecutionContext, wrong: (url: string) => boolean) {
  const service = await serve(t, (request, response) => {
    const url = request.url ?? "";
    if (wrong(url)) refuse(response, 503, "backendError");
    else if (/\/o\?/.test(url)) sendJson(response, 200, {});
    else refuse(response, 404, "notFound");
  });
  const bucket = bucketAt(t, service.url, LIMITS);
  const said = (words: string): number => bucket.lines.filter((line) => line.includes(words)).length;
  return { service, bucket, said };
}

async function until(done: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 10_000; !done(); await delay(10))
    if (Date.now() > endMs) throw new Error("not within 10 s");
}

test("a bucket that answers nothing is away until it answers, which is said once", async (t) => {
  let wrong = true;
  const { bucket, said } = await moody(t, () => wrong);
  let told = 0;
  bucket.availability.onAway(() => (told += 1));
  t.is(bucket.availability.away, undefined);
  await Promise.all(["a", "b", "c"].map((name) => t.throwsAsync(bucket.stat(name))));
  await until(() => bucket.availability.away !== undefined);
  t.like(bucket.availability.away, { kind: "unavailable" });
  t.is(told, 1);
  await t.throwsAsync(bucket.stat("a"));
  wrong = false;
  await until(() => bucket.availability.away === undefined);
  t.is(said("the bucket does not answer"), 1);
  t.is(said("the bucket answers again"), 1);
  t.is((await bucket.stat("a")).value, undefined);
});

test("an object that cannot be had does not make a bucket away", async (t) => {
  const { bucket } = await moody(t, (url) => url.includes("/o/bad"));
  await t.throwsAsync(bucket.stat("bad"));
  await delay(200); // the probe was answered
  t.is(bucket.availability.away, undefined);
  const failing = t.throwsAsync(bucket.stat("bad"));
  await bucket.stat("good");
  await failing;
  t.is(bucket.availability.away, undefined);
});

test("one kind of question that fails for all names is enough, and one kind that is answered does not end it", async (t) => {
  let wrong = true;
  const { bucket, said } = await moody(t, (url) => wrong && /\/o\?/.test(url));
  await t.throwsAsync(bucket.list({ prefix: "" }));
  await until(() => bucket.availability.away !== undefined);
  for (let round = 0; round < 20; round += 1) t.is((await bucket.stat("a")).value, undefined);
  await delay(100);
  t.not(bucket.availability.away, undefined);
  wrong = false;
  await bucket.stat("a"); // whatever is answered has it probed again, at once
  await until(() => bucket.availability.away === undefined);
  t.is(said("the bucket does not answer"), 1);
});

test("refusals are answers", async (t) => {
  const service = await serve(t, (_, response) => refuse(response, 403, "forbidden"));
  const bucket = bucketAt(t, service.url, LIMITS);
  const error = await t.throwsAsync(bucket.stat("a"));
  t.false(isAway(error));
  await delay(100);
  t.is(bucket.availability.away, undefined);
  t.is(service.asked.length, 1, "nobody doubts it");
});

test("silence is a doubt for two seconds, and probes do not pile up", async (t) => {
  const service = await serve(t, () => {});
  const bucket = bucketAt(t, service.url, { deadlineMs: 30_000, metadataDeadlineMs: 30_000 });
  const giveUp = new AbortController();
  const asking = t.throwsAsync(bucket.stat("a", giveUp.signal));
  await delay(100);
  bucket.availability.gaveUp(
    await t.throwsAsync(bucketAt(t, service.url, { ...LIMITS }).stat("b")).then((error) => error as never),
    performance.now() - 1_000,
  );
  const begunMs = Date.now();
  await until(() => bucket.availability.away !== undefined);
  t.true(Date.now() - begunMs > 1_500);
  await delay(500);
  t.true(service.asked.length < 15);
  giveUp.abort();
  await asking;
});

test("closing ends the probes", async (t) => {
  const { bucket, service } = await moody(t, () => true);
  await t.throwsAsync(bucket.stat("a"));
  await until(() => bucket.availability.away !== undefined);
  await bucket.close();
  await once(AbortSignal.timeout(1_300), "abort");
  const asked = service.asked.length;
  await delay(1_200);
  t.is(service.asked.length, asked);
});
