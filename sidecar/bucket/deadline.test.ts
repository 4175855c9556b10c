import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

import test, { type ExecutionContext } from "ava";

import { isBucketError, type BucketErrorKind } from "./errors.ts";
import { bodyOf, bucketAt, bytesSource, collect, refuse, serve } from "./service.fixture.ts";

const object = { name: "a", generation: 7n, size: 200_000, crc32c: 0 };
const limits = { deadlineMs: 1_500, metadataDeadlineMs: 1_500 };

async function failsWithin(t: ExecutionContext, call: Promise<unknown>, kind: BucketErrorKind, ms: number) {
  const started = Date.now();
  const error = await t.throwsAsync(call);
  const took = Date.now() - started;
  t.true(isBucketError(error, kind), `${String(error)}, expected ${kind}`);
  t.true(took < ms, `${kind} after ${took} ms`);
}

test("a server that says nothing: every call ends with a deadline error in time", async (t) => {
  const service = await serve(t, () => {});
  const bucket = bucketAt(t, service.url, limits);
  const write = { operationId: "m:1" };
  await Promise.all([
    failsWithin(t, bucket.stat("a"), "deadline", 5_000),
    failsWithin(t, bucket.list({ prefix: "" }), "deadline", 5_000),
    failsWithin(t, bucket.patch("a", { generation: 1n, metageneration: 1n }, {}), "deadline", 5_000),
    failsWithin(t, bucket.remove("a", 1n), "deadline", 5_000),
    failsWithin(t, bucket.move({ name: "a", generation: 1n }, "b", "absent"), "deadline", 5_000),
    failsWithin(t, bucket.copy({ name: "a", generation: 1n }, "b", "absent"), "deadline", 5_000),
    failsWithin(t, bucket.compose("a", [], "absent", {}, write), "deadline", 5_000),
    failsWithin(t, collect(bucket.read(object)), "deadline", 5_000),
    failsWithin(t, bucket.insert("a", bytesSource(Buffer.alloc(10)), "absent", {}, write), "deadline", 5_000),
    failsWithin(
      t,
      bucket.insert("a", bytesSource(Buffer.alloc(9_000_000)), "absent", {}, write),
      "deadline",
      6_000,
    ),
  ]);
});

test("a server that stops in the middle of a download or of taking an upload: the same", async (t) => {
  const service = await serve(t, (request, response) => {
    if (request.method === "GET")
      response.writeHead(200, { "content-length": 200_000 }).write(Buffer.alloc(1000));
    else request.pause();
  });
  const bucket = bucketAt(t, service.url, limits);
  const bytes = Buffer.alloc(8_000_000);
  await Promise.all([
    failsWithin(t, collect(bucket.read(object)), "deadline", 6_000),
    failsWithin(
      t,
      bucket.insert("a", bytesSource(bytes), "absent", {}, { operationId: "m:1" }),
      "deadline",
      6_000,
    ),
  ]);
});

test("a download that is slow but never stops may take longer than the deadline", async (t) => {
  const service = await serve(t, (_, response) => {
    response.writeHead(200, { "content-length": 200_000 });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(Buffer.alloc(20_000));
      if ((sent += 20_000) === 200_000) clearInterval(timer);
    }, 250);
  });
  const bucket = bucketAt(t, service.url, limits);
  const { crc32cOf } = await import("./crc32c.ts");
  const bytes = await collect(bucket.read({ ...object, crc32c: crc32cOf(Buffer.alloc(200_000)) }));
  t.is(bytes.length, 200_000);
});

test("the last answer says whether the service was throttling or unavailable", async (t) => {
  const service = await serve(t, async (request, response) => {
    await bodyOf(request);
    if (request.url?.includes("/throttled/")) refuse(response, 429, "rateLimitExceeded");
    else refuse(response, 503, "backendError");
  });
  await failsWithin(
    t,
    bucketAt(t, service.url, { ...limits, bucket: "throttled" }).stat("a"),
    "throttled",
    6_000,
  );
  await failsWithin(
    t,
    bucketAt(t, service.url, { ...limits, bucket: "other" }).stat("a"),
    "unavailable",
    6_000,
  );
  t.true(service.asked.length > 4, "each was repeated");
});

test("a service that asks for more quiet than there is time is given up at once", async (t) => {
  const service = await serve(t, (_, response) => {
    response.setHeader("retry-after", "30");
    refuse(response, 429, "rateLimitExceeded");
  });
  await failsWithin(t, bucketAt(t, service.url).stat("a"), "throttled", 3_000);
  t.is(service.asked.length, 1);
});

test("a try that hears nothing leaves time for another one", async (t) => {
  const service = await serve(t, (_, response, count) => {
    if (count > 1) refuse(response, 404, "notFound");
  });
  const { value } = await bucketAt(t, service.url, { metadataDeadlineMs: 4_500 }).stat("a");
  t.is(value, undefined);
  t.is(service.asked.length, 2);
});

test("waiting between tries ends when the caller gives up", async (t) => {
  const service = await serve(t, (_, response) => {
    response.setHeader("retry-after", "3");
    refuse(response, 503, "backendError");
  });
  const giveUp = new AbortController();
  setTimeout(() => giveUp.abort(), 200);
  await failsWithin(t, bucketAt(t, service.url).stat("a", giveUp.signal), "aborted", 3_000);
});

test("an upload that the caller gives up ends at once", async (t) => {
  const service = await serve(t, () => {});
  for (const size of [10, 1_000_000, 9_000_000]) {
    const giveUp = new AbortController();
    setTimeout(() => giveUp.abort(), 100);
    const options = { operationId: "m:1", signal: giveUp.signal };
    const upload = bucketAt(t, service.url).insert(
      "a",
      bytesSource(Buffer.alloc(size)),
      "absent",
      {},
      options,
    );
    await failsWithin(t, upload, "aborted", 3_000);
  }
});

test("questions do not wait behind downloads that fill all connections", async (t) => {
  const service = await serve(t, (request, response) => {
    if (request.url?.includes("alt=media")) response.writeHead(200).write("x");
    else refuse(response, 404, "notFound");
  });
  const bucket = bucketAt(t, service.url);
  const giveUp = new AbortController();
  const downloads = Array.from({ length: 100 }, () =>
    collect(bucket.read(object, { signal: giveUp.signal })),
  );
  const ended = Promise.allSettled(downloads);
  t.is((await bucket.stat("a")).value, undefined);
  giveUp.abort();
  await ended;
});

test("a server that closes idle connections at the wrong moment is not noticed", async (t) => {
  const sockets = new Set<Socket>();
  let served = 0;
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("data", () => {
      // Each connection is good for one answer; the request after it meets a reset.
      if (served++ % 2 === 0) socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}");
      else socket.resetAndDestroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const bucket = bucketAt(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (let i = 0; i < 5; i += 1) t.is((await bucket.stat("a")).value, undefined);
});

test("closing does not wait for bodies nobody reads", async (t) => {
  const service = await serve(t, (_, response) =>
    response.writeHead(200, { "content-length": 200_000 }).write("x"),
  );
  const bucket = bucketAt(t, service.url);
  const chunks = bucket.read(object)[Symbol.asyncIterator]();
  await chunks.next();
  const started = Date.now();
  await bucket.close();
  t.true(Date.now() - started < 3_000);
  await t.throwsAsync(chunks.next());
});
