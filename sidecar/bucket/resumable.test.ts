import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

import test from "ava";

import { crc32cOf, encodeCrc32c } from "./crc32c.ts";
import { isBucketError } from "./errors.ts";
import { sharedLocalGcs } from "./local-gcs.fixture.ts";
import { positionOf } from "./resumable.ts";
import {
  bodyOf,
  bucketAt,
  bytesSource,
  collect,
  refuse,
  resource,
  sendJson,
  serve,
} from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);
const MiB = 1024 * 1024;

test("40 MB arrive whole although the connection breaks again and again", async (t) => {
  const { bucket, faults, requests } = await gcs().session(t);
  const bytes = randomBytes(40_000_000);
  await faults(
    { method: "storage.objects.insert", action: "return-503", count: 1 },
    { method: "storage.objects.insert", action: "return-broken-stream-after-6000K", count: 1 },
    { method: "storage.objects.insert", action: "return-503-after-13000K", count: 1 },
    { method: "storage.objects.insert", action: "return-reset-connection", count: 2 },
    { method: "storage.objects.insert", action: "return-broken-stream-after-20000K", count: 1 },
    { method: "storage.objects.insert", action: "lost-answer", count: 1 },
  );
  const progress: number[] = [];
  const { value } = await bucket.insert(
    "a",
    bytesSource(bytes),
    "absent",
    {},
    {
      operationId: "m:1",
      onProgress: (confirmed) => progress.push(confirmed),
    },
  );
  t.true((await collect(bucket.read(value))).equals(bytes));
  t.deepEqual(
    progress,
    progress.toSorted((a, b) => a - b),
  );
  t.is(progress.at(-1), bytes.length);
  const uploads = (await requests()).filter((request) => request.method === "storage.objects.insert");
  const sent = uploads.reduce((sum, request) => sum + request.requestBytes, 0);
  t.true(sent < 60_000_000, `sent ${sent}`);
});

test("the session is told and awaited before any byte is sent, and an upload can go on in it later", async (t) => {
  const { bucket, requests } = await gcs().session(t);
  const bytes = randomBytes(9_000_000);
  const giveUp = new AbortController();
  let session: { url: string } | undefined;
  const stopped = await t.throwsAsync(
    bucket.insert(
      "a",
      bytesSource(bytes),
      "absent",
      {},
      {
        operationId: "m:1",
        signal: giveUp.signal,
        async onSession(given) {
          await delay(50);
          t.true((await requests()).every((request) => request.requestBytes < 10_000));
          session = given;
          giveUp.abort();
        },
      },
    ),
  );
  t.true(isBucketError(stopped, "aborted"));
  const { value } = await bucket.insert(
    "a",
    bytesSource(bytes),
    "absent",
    {},
    { operationId: "m:1", session },
  );
  t.is(value.size, bytes.length);
  t.true(
    (await requests()).every(
      (request) => request.query["uploadType"] === undefined || request.query["upload_id"] !== undefined,
    ),
  );
  const again = await bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1", session });
  t.is(again.value.generation, value.generation, "a finished session tells what it has written");
});

test("RULES 3: the last request of a session carries the checksum", async (t) => {
  const bytes = randomBytes(9_000_000);
  const hashes: unknown[] = [];
  const service = await sessionService(t, {
    put: async (request) => {
      hashes.push(request.headers["x-goog-hash"]);
      return (await bodyOf(request)).length;
    },
    bytes,
  });
  await bucketAt(t, service.url).insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" });
  t.deepEqual(hashes, [`crc32c=${encodeCrc32c(crc32cOf(bytes))}`]);
  t.is(service.asked[0]?.headers["x-upload-content-length"], "9000000");
});

test("a service that keeps less than it was sent gets the rest again", async (t) => {
  const bytes = randomBytes(20 * MiB);
  const service = await sessionService(t, {
    put: async (request) => Math.min((await bodyOf(request)).length, 3 * MiB),
    bytes,
  });
  const { value } = await bucketAt(t, service.url).insert(
    "a",
    bytesSource(bytes),
    "absent",
    {},
    { operationId: "m:1" },
  );
  t.is(value.size, bytes.length);
  t.is(service.asked.filter(({ method }) => method === "PUT").length, 7);
});

test("a session that is gone is replaced by a new one", async (t) => {
  const bytes = randomBytes(9_000_000);
  const sessions: string[] = [];
  for (const status of [404, 410]) {
    const service = await sessionService(t, {
      put: async (request, count) => {
        const { length } = await bodyOf(request);
        return count === 1 ? { status } : length;
      },
      bytes,
    });
    await bucketAt(t, service.url).insert(
      "a",
      bytesSource(bytes),
      "absent",
      {},
      {
        operationId: "m:1",
        onSession: ({ url }) => void sessions.push(url),
      },
    );
  }
  t.is(sessions.length, 4);
});

test("a session that was cancelled, or refuses in another way, is not tried again", async (t) => {
  const bytes = randomBytes(9_000_000);
  for (const status of [400, 499]) {
    const service = await sessionService(t, {
      put: async (request) => {
        await bodyOf(request);
        return { status };
      },
      bytes,
    });
    const error = await t.throwsAsync(
      bucketAt(t, service.url).insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" }),
    );
    t.true(isBucketError(error, "invalid"));
    t.is(service.asked.length, 2);
  }
});

test("a service that never gets further is given up within the deadline", async (t) => {
  const bytes = randomBytes(9_000_000);
  const service = await sessionService(t, {
    put: async (request) => {
      await bodyOf(request);
      return 0;
    },
    bytes,
  });
  const started = Date.now();
  const error = await t.throwsAsync(
    bucketAt(t, service.url, { deadlineMs: 3_000 }).insert(
      "a",
      bytesSource(bytes),
      "absent",
      {},
      { operationId: "m:1" },
    ),
  );
  t.true(isBucketError(error, "unavailable"));
  t.true(Date.now() - started < 8_000, `after ${Date.now() - started} ms`);
});

test("positions are read from what the service says it holds", (t) => {
  t.is(positionOf(undefined), 0);
  t.is(positionOf("bytes=0-0"), 1);
  t.is(positionOf("bytes=0-262143"), 262_144);
  t.is(positionOf("bytes=5-9"), undefined);
  t.is(positionOf("0-9"), undefined);
});

// A service with one upload session at a time. `put` tells how many bytes of a request it keeps, or refuses.
async function sessionService(
  t: Parameters<typeof serve>[0],
  {
    put,
    bytes,
  }: {
    put: (request: IncomingMessage, count: number) => Promise<number | { status: number }>;
    bytes: Buffer;
  },
) {
  let held = 0;
  let sessions = 0;
  let puts = 0;
  return serve(t, async (request, response) => {
    if (request.method === "POST") {
      await bodyOf(request);
      held = 0;
      sessions += 1;
      response
        .writeHead(200, { location: `http://elsewhere.invalid/upload/session?upload_id=${sessions}` })
        .end();
      return;
    }
    t.is(request.url, `/upload/session?upload_id=${sessions}`);
    const range = request.headers["content-range"] ?? "";
    if (range.startsWith("bytes */")) {
      await bodyOf(request);
    } else {
      t.is(range, `bytes ${held}-${bytes.length - 1}/${bytes.length}`);
      const kept = await put(request, (puts += 1));
      if (typeof kept !== "number") return refuse(response, kept.status, "refused");
      held += kept;
    }
    if (held === bytes.length) {
      return sendJson(response, 200, resource({ size: String(held), crc32c: encodeCrc32c(crc32cOf(bytes)) }));
    }
    response.writeHead(308, held === 0 ? {} : { range: `bytes=0-${held - 1}` }).end();
  });
}
