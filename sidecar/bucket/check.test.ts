import test from "ava";

import { isBucketError } from "./errors.ts";
import { sharedLocalGcs } from "./local-gcs.fixture.ts";
import { bucketAt, refuse, sendJson, serve } from "./service.fixture.ts";

const gcs = sharedLocalGcs(test);

test("a bucket that may be listed passes, and tells its layout", async (t) => {
  const { bucket } = await gcs().session(t);
  const layout = await bucket.check();
  t.false(layout.hierarchicalNamespace);
  t.not(layout.location, "");
  t.deepEqual(Object.keys(layout).sort(), ["createdMs", "hierarchicalNamespace", "location"]);
  t.true(Math.abs((layout.createdMs ?? 0) - Date.now()) < 3_600_000);
});

test("a server that does not know layouts passes with a flat one", async (t) => {
  for (const status of [403, 404, 501]) {
    const service = await serve(t, (request, response) =>
      request.url?.includes("storageLayout") ? refuse(response, status, "no") : sendJson(response, 200, {}),
    );
    t.deepEqual(await bucketAt(t, service.url).check(), { hierarchicalNamespace: false, location: "" });
  }
});

test("one who may not look at the bucket itself passes without the time it was made at", async (t) => {
  const service = await serve(t, (request, response) => {
    if (request.url?.endsWith("?fields=timeCreated") === true) refuse(response, 403, "forbidden");
    else sendJson(response, 200, {});
  });
  t.is((await bucketAt(t, service.url).check()).createdMs, undefined);
});

test("a bucket that is not there is said to be not there, and where", async (t) => {
  const error = await t.throwsAsync(bucketAt(t, gcs().url, { bucket: "no-such-bucket" }).check());
  t.true(isBucketError(error, "bucket-not-found"));
  t.regex(String(error), /bucket no-such-bucket does not exist at http:\/\/127\.0\.0\.1:\d+/);
});

test("a lack of permission names the role that would help", async (t) => {
  const service = await serve(t, (_, response) => refuse(response, 403, "forbidden"));
  const error = await t.throwsAsync(bucketAt(t, service.url).check());
  t.true(isBucketError(error, "forbidden"));
  t.regex(String(error), /storage\.objects\.list.*roles\/storage\.objectUser/);
});

test("a server that wants credentials which only Google gets says so", async (t) => {
  const service = await serve(t, (_, response) => refuse(response, 401, "required"));
  const error = await t.throwsAsync(bucketAt(t, service.url).check());
  t.true(isBucketError(error, "unauthenticated"));
  t.is(service.asked.length, 1);
});

test("a server that does not answer is reported within ten seconds, with its address", async (t) => {
  const silent = await serve(t, () => {});
  const patient = { metadataDeadlineMs: 60_000 };
  const started = Date.now();
  await Promise.all(
    ["http://127.0.0.1:9", silent.url].map(async (endpoint) => {
      const error = await t.throwsAsync(bucketAt(t, endpoint, patient).check());
      t.true(isBucketError(error, "unavailable", "deadline"));
      t.true(String(error).includes(`${endpoint} cannot be reached`), String(error));
      t.regex(String(error), /local server running/);
    }),
  );
  t.true(Date.now() - started < 10_000);
});

test("a zonal bucket is refused, for its objects cannot be written this way", async (t) => {
  const service = await serve(t, (request, response) =>
    sendJson(response, 200, request.url?.includes("storageLayout") ? { locationType: "zone" } : {}),
  );
  const error = await t.throwsAsync(bucketAt(t, service.url).check());
  t.true(isBucketError(error, "invalid"));
  t.regex(String(error), /zonal/);
});
