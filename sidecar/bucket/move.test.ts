import test, { type ExecutionContext } from "ava";

import { isBucketError } from "./errors.ts";
import { sharedLocalGcs, type Session } from "./local-gcs.fixture.ts";
import { bucketAt, bytesSource, collect } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

async function write({ bucket }: Session, name: string, text = name, expected: bigint | "absent" = "absent") {
  const written = await bucket.insert(
    name,
    bytesSource(Buffer.from(text)),
    expected,
    {},
    { operationId: `m:${name}` },
  );
  return written.value;
}

async function textOf({ bucket }: Session, name: string): Promise<string | undefined> {
  const { value } = await bucket.stat(name);
  return value === undefined ? undefined : String(await collect(bucket.read(value)));
}

async function fails(t: ExecutionContext, call: Promise<unknown>, kind: Parameters<typeof isBucketError>[1]) {
  const error = await t.throwsAsync(call);
  t.true(isBucketError(error, kind as never), String(error));
  return error;
}

for (const way of ["moveTo", "copy and removal"] as const) {
  const open = async (t: ExecutionContext): Promise<Session> => {
    const session = await gcs().session(t);
    if (way !== "moveTo") await session.faults({ method: "storage.objects.move", action: "return-403" });
    return session;
  };

  test(`${way}: an object is renamed to a new name and over another, and its attributes go with it`, async (t) => {
    const session = await open(t);
    const a = await write(session, "a");
    const b = (await session.bucket.move(a, "b", "absent")).value;
    t.is(await textOf(session, "a"), undefined);
    t.is(await textOf(session, "b"), "a");
    t.is(b.metadata["sidemount-op"], "m:a");
    const c = await write(session, "c");
    const over = await session.bucket.move(b, "c", c.generation);
    t.is(await textOf(session, "c"), "a");
    t.true(over.value.generation > c.generation);
  });

  test(`${way}: a source whose version is gone is not found`, async (t) => {
    const session = await open(t);
    const old = await write(session, "a");
    await fails(t, session.bucket.move({ name: "never", generation: 1n }, "b", "absent"), "not-found");
    await write(session, "a", "new", old.generation);
    await fails(t, session.bucket.move(old, "b", "absent"), "not-found");
    t.is(await textOf(session, "a"), "new");
    t.is(await textOf(session, "b"), undefined);
  });

  test(`${way}: a destination that is not as expected stays as it is`, async (t) => {
    const session = await open(t);
    const a = await write(session, "a");
    const b = await write(session, "b");
    await fails(t, session.bucket.move(a, "b", "absent"), "precondition-failed");
    await fails(t, session.bucket.move(a, "b", b.generation + 1n), "precondition-failed");
    await fails(t, session.bucket.move(a, "nothing", 1n), "precondition-failed");
    t.is(await textOf(session, "a"), "a");
    t.is(await textOf(session, "b"), "b");
  });
}

test("a move is one request", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  await session.requests();
  await session.bucket.move(a, "b", "absent");
  t.deepEqual(
    (await session.requests()).map(({ method }) => method),
    ["storage.objects.move"],
  );
});

test("where moveTo is refused it is asked for once, and said once", async (t) => {
  const session = await gcs().session(t);
  await session.faults({ method: "storage.objects.move", action: "return-403" });
  for (const name of ["a", "b", "c"])
    await session.bucket.move(await write(session, name), `${name}2`, "absent");
  t.is((await session.requests()).filter(({ method }) => method === "storage.objects.move").length, 1);
  t.is(session.bucket.lines.filter((line) => line.includes("moveTo is refused")).length, 1);
});

test("a rename that may not remove its source leaves nothing new behind", async (t) => {
  const session = await gcs().session(t);
  await session.faults(
    { method: "storage.objects.move", action: "return-403" },
    { method: "storage.objects.delete", name: "a", action: "return-403" },
  );
  await fails(t, session.bucket.move(await write(session, "a"), "b", "absent"), "forbidden");
  t.is(await textOf(session, "a"), "a");
  t.is(await textOf(session, "b"), undefined);
});

test("RULES 5: of two that rename one object by copy and removal, one gets it and the other knows that it did not", async (t) => {
  const session = await gcs().session(t);
  await session.faults({ method: "storage.objects.move", action: "return-403" });
  const { bucket } = session;
  const rival = bucketAt(t, gcs().url, { bucket: bucket.name });
  for (let round = 0; round < 20; round += 1) {
    const job = await write(session, `job-${round}`);
    const claims = await Promise.allSettled([
      bucket.move(job, `one/${round}`, "absent"),
      rival.move(job, `two/${round}`, "absent"),
    ]);
    const won = claims.flatMap((claim) => (claim.status === "fulfilled" ? [claim.value.value.name] : []));
    t.is(won.length, 1);
    const left = (await bucket.list({ prefix: "" })).objects.map(({ name }) => name);
    t.deepEqual(left, won);
    t.true(await bucket.remove(won[0]!, (await bucket.stat(won[0]!)).value!.generation));
    for (const claim of claims) {
      if (claim.status === "rejected") t.true(isBucketError(claim.reason, "not-found"), String(claim.reason));
    }
  }
});

for (const method of ["storage.objects.rewrite", "storage.objects.delete"]) {
  test(`RULES 5: copy and removal, answer of ${method} lost: unknown, and done for a mount that is alone`, async (t) => {
    for (const soleWriter of [false, true]) {
      const session = await gcs().session(t, { soleWriter });
      await session.faults(
        { method: "storage.objects.move", action: "return-403" },
        { method, action: "lost-answer", count: 1 },
      );
      const move = session.bucket.move(await write(session, "a"), "b", "absent");
      if (soleWriter) {
        await move;
        t.is(await textOf(session, "a"), undefined);
      } else {
        await fails(t, move, "unavailable");
      }
      t.is(await textOf(session, "b"), "a", "nothing is lost either way");
    }
  });
}

test("RULES 5: after a lost answer a source that is gone may have been taken by another: unknown", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  await session.faults({ method: "storage.objects.move", action: "lost-answer", count: 1 });
  const error = await fails(t, session.bucket.move(a, "b", "absent"), "unavailable");
  t.true(isBucketError(error) && error.uncertain);
  t.regex(String(error), /unknown/);
});

test("RULES 5: a mount that is alone takes it for done", async (t) => {
  const session = await gcs().session(t, { soleWriter: true });
  const a = await write(session, "a");
  await session.faults({ method: "storage.objects.move", action: "lost-answer", count: 2 });
  const { value } = await session.bucket.move(a, "b", "absent");
  t.is(value.name, "b");
  t.is(await textOf(session, "b"), "a");
});

test("RULES 5: after a lost answer an untouched destination proves that it was not moved", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  const b = await write(session, "b");
  await session.bucket.remove("a", a.generation);
  await session.faults({ method: "storage.objects.move", action: "return-503", count: 1 });
  await fails(t, session.bucket.move(a, "b", b.generation), "not-found");
});

test("a move that failed before it was carried out is simply made again", async (t) => {
  const session = await gcs().session(t);
  await session.faults(
    { method: "storage.objects.move", action: "return-503", count: 1 },
    { method: "storage.objects.move", action: "return-reset-connection", count: 1 },
  );
  await session.bucket.move(await write(session, "a"), "b", "absent");
  t.is(await textOf(session, "b"), "a");
});

test("a copy whose answer was lost is the success it was", async (t) => {
  const session = await gcs().session(t);
  const a = await write(session, "a");
  await session.faults({ method: "storage.objects.rewrite", action: "lost-answer", count: 1 });
  const { value } = await session.bucket.copy(a, "b", "absent");
  t.is(value.name, "b");
  t.is(await textOf(session, "a"), "a");
});
