import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import { SharedCredentials } from "./auth.ts";
import { crc32cOf } from "./crc32c.ts";
import { BucketError } from "./errors.ts";
import { startFaultProxy } from "./fault-proxy.fixture.ts";
import {
  ACTS,
  contents,
  DEADLINE_MS,
  newBytes,
  OLD,
  SESSION_WRITE,
  SMALL,
  TROUBLES,
  type Act,
  type Outcome,
  type Trouble,
  type World,
} from "./faults.fixture.ts";
import { sharedLocalGcs, type Session } from "./local-gcs.fixture.ts";
import { bucketAt, bytesSource } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

/** A test machine that does other things too. */
const SLACK_MS = 2_500;
const OLD_WRITE = { operationId: "m:0" };
const LATER_WRITE = { operationId: "m:3" };

async function worldIn({ bucket }: Session): Promise<World> {
  const { value: a } = await bucket.insert("a", bytesSource(OLD), "absent", {}, OLD_WRITE);
  const { value: b } = await bucket.insert("b", bytesSource(SMALL), "absent", {}, OLD_WRITE);
  const query = new URLSearchParams({ uploadType: "resumable", ifGenerationMatch: String(a.generation) });
  const started = await fetch(`${gcs().url}/upload/storage/v1/b/${bucket.name}/o?${query.toString()}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "a", metadata: { "sidemount-op": SESSION_WRITE.operationId } }),
  });
  return { a, b, sessionUrl: started.headers.get("location") ?? "" };
}

/** What is in the bucket, in words that can be compared. */
async function stateOf({ bucket }: Session): Promise<string[]> {
  const { objects } = await bucket.list({ prefix: "" });
  return objects.map(({ name, crc32c, size, metadata }) =>
    [name, size, crc32c, metadata["key"] ?? ""].join(" "),
  );
}

function stateWhen(act: Act, carriedOut: boolean): string[] {
  const patched = carriedOut && act.patches === true;
  return Object.entries(contents(act, carriedOut)).map(([name, bytes]) =>
    [name, bytes.length, crc32cOf(bytes), patched && name === "a" ? "value" : ""].join(" "),
  );
}

async function outcomeOf(work: Promise<unknown>): Promise<{ outcome: Outcome; uncertain: boolean }> {
  try {
    await work;
    return { outcome: "done", uncertain: false };
  } catch (error) {
    if (!(error instanceof BucketError)) throw error;
    return { outcome: error.kind, uncertain: error.uncertain };
  }
}

/** Acts out one cell of the table; answers what is wrong with it. */
async function tryCell(t: ExecutionContext, act: Act, trouble: Trouble): Promise<string[]> {
  const expected = trouble.except?.[act.name] ?? trouble.expected;
  const session = await gcs().session(t);
  const world = await worldIn(session);
  const proxy = await startFaultProxy(gcs().url);
  let tokens = 0;
  const credentials = new SharedCredentials({
    headers: () => Promise.resolve({ authorization: `Bearer ${tokens}` }),
    expire: () => Promise.resolve(void (tokens += 1)),
  });
  const { name } = session.bucket;
  // What is to be ridden out has time for it also where the machine is busy.
  const limitMs = expected === "done" ? 3 * DEADLINE_MS : DEADLINE_MS;
  const bucket = bucketAt(t, proxy.url, {
    bucket: trouble.bucketIsGone ? `${name}-gone` : name,
    deadlineMs: limitMs,
    metadataDeadlineMs: limitMs,
    credentials,
  });
  const wrong: string[] = [];
  const check = (holds: boolean, words: string): void => void (holds || wrong.push(words));
  const used = trouble.bucketIsGone
    ? { ...world, sessionUrl: "/upload/storage/v1/b/none/o?upload_id=none" }
    : world;

  await session.faults(
    ...(trouble.rules ?? []).map(({ everything, ...rule }) => ({
      ...rule,
      method: everything ? "*" : act.method,
    })),
  );
  if (trouble.connection !== undefined) proxy.strike({ ...trouble.connection, line: act.line });
  const countRequests = async (): Promise<number> => (trouble.atOnce ? (await session.requests()).length : 0);
  await countRequests();
  const begunMs = performance.now();
  const { outcome, uncertain } = await outcomeOf(act.run(bucket, used, world.a.generation));
  const tookMs = performance.now() - begunMs;
  const asked = await countRequests();
  proxy.clear();
  await session.clearFaults();

  check(outcome === expected, `${outcome} instead of ${expected}`);
  // Bytes that move, and tries that get further, have all the time they need.
  if (outcome !== "done") check(tookMs < DEADLINE_MS + SLACK_MS, `took ${Math.round(tookMs)} ms`);
  if (trouble.atOnce) check(asked <= 3, `asked ${asked} times`); // 412 and 401 ask once more what it means
  if (trouble.renewals !== undefined) check(tokens === trouble.renewals, `${tokens} renewals`);
  if (trouble.lateMs !== undefined) await delay(Math.max(0, trouble.lateMs - tookMs));

  const before = stateWhen(act, false).join();
  const after = stateWhen(act, true).join();
  const found = (await stateOf(session)).join();
  if (outcome === "done") check(found === after, `done, but there is ${found}`);
  else if (uncertain) check(found === before || found === after, `something in between: ${found}`);
  else check(found === before, `failed for certain, but there is ${found}`);
  if (found === before && found !== after) {
    const { value: live } = await session.bucket.stat("a");
    check(live?.generation === world.a.generation, "the old generation is gone");
  }

  // The same client, at once, without anything being made anew.
  if (found === before && !trouble.bucketIsGone) {
    const next = ACTS.find(({ name: each }) => each === act.afterwards) ?? act;
    const again = await outcomeOf(next.run(bucket, world, world.a.generation, LATER_WRITE));
    check(again.outcome === "done", `afterwards: ${again.outcome}`);
    check((await stateOf(session)).join() === stateWhen(next, true).join(), "afterwards: not carried out");
  }
  await bucket.close();
  for (let looks = 0; proxy.open() > 0 && looks < 100; looks += 1) await delay(10);
  check(proxy.open() === 0, `${proxy.open()} connections left`);
  await proxy.close();
  return wrong.map((words) => `${act.name}, ${trouble.name}: ${words}`);
}

/** Cells that run at a time; one that sends a lot counts for more. */
const ABREAST = 24;
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(weight: number, work: () => Promise<T>): Promise<T> {
  while (running > 0 && running + weight > ABREAST)
    await new Promise<void>((resolve) => waiting.push(resolve));
  running += weight;
  try {
    return await work();
  } finally {
    running -= weight;
    for (const wake of waiting.splice(0)) wake();
  }
}

for (const act of ACTS) {
  const cells = TROUBLES.filter(({ except }) => except?.[act.name] !== null);
  test(`${act.name}: ${cells.length} kinds of trouble end as they should, in time, and leave nothing half done`, async (t) => {
    const wrong = await Promise.all(
      cells.map((trouble) => inTurn(act.weight ?? 1, () => tryCell(t, act, trouble))),
    );
    t.deepEqual(wrong.flat(), []);
  });
}

test("a proxy strikes when it is told to, and is no trouble otherwise", async (t) => {
  const { bucket: direct } = await gcs().session(t);
  const proxy = await startFaultProxy(gcs().url);
  t.teardown(() => proxy.close());
  const bucket = bucketAt(t, proxy.url, { bucket: direct.name });
  const { value } = await bucket.insert("a", newBytes(), "absent", {}, OLD_WRITE);
  t.is(value.size, OLD.length);
  proxy.strike({ fault: { kind: "reset" }, count: 1 });
  await bucket.stat("a");
  t.is(proxy.struck(), 1);
});
