import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

import test from "ava";

import { anonymous, credentialsFor, SharedCredentials, type HeaderSource } from "./auth.ts";
import { BucketError, isBucketError } from "./errors.ts";
import { bucketAt, bytesSource, refuse, resource, sendJson, serve } from "./service.fixture.ts";

// Hands out token-1, token-2, … each good until it is told to be expired.
function source(): HeaderSource & { readonly asked: number; readonly expired: number } {
  let current = 1;
  let asked = 0;
  return {
    async headers() {
      asked += 1;
      await delay(20);
      return { authorization: `Bearer token-${current}`, "x-goog-user-project": "p" };
    },
    async expire() {
      await delay(5);
      current += 1;
    },
    get asked() {
      return asked;
    },
    get expired() {
      return current - 1;
    },
  };
}

test("a token that is refused is renewed once, by one of all who need it, and every request goes through", async (t) => {
  const tokens = source();
  const service = await serve(t, (request, response) =>
    request.headers.authorization === "Bearer token-2"
      ? sendJson(response, 200, resource())
      : refuse(response, 401, "authError"),
  );
  const bucket = bucketAt(t, service.url, { credentials: new SharedCredentials(tokens) });
  const found = await Promise.all(Array.from({ length: 50 }, () => bucket.stat("a")));
  t.true(found.every(({ value }) => value?.generation === 7n));
  t.is(tokens.expired, 1);
  t.is(service.asked.length, 100);
  t.is(service.asked[0]?.headers["x-goog-user-project"], "p");
});

test("an upload whose token was refused is sent again whole", async (t) => {
  const service = await serve(t, async (request, response) => {
    if (request.headers.authorization !== "Bearer token-2") return refuse(response, 401, "authError");
    let length = 0;
    for await (const chunk of request) length += (chunk as Buffer).length;
    t.true(length > 3_000_000);
    return sendJson(response, 200, resource({ size: "3000000", crc32c: "AAAAAA==" }));
  });
  const bucket = bucketAt(t, service.url, { credentials: new SharedCredentials(source()) });
  const bytes = { ...bytesSource(Buffer.alloc(3_000_000)), crc32c: 0 };
  t.is((await bucket.insert("a", bytes, "absent", {}, { operationId: "m:1" })).value.size, 3_000_000);
});

test("credentials that are refused twice are an error, and never in the log", async (t) => {
  const tokens = source();
  const service = await serve(t, (request, response) =>
    refuse(
      response,
      request.url?.includes("/busy/") ? 503 : 401,
      "authError",
      `bad ${request.headers.authorization}`,
    ),
  );
  const credentials = new SharedCredentials(tokens);
  const bucket = bucketAt(t, service.url, { credentials });
  const error = await t.throwsAsync(bucket.stat("a"));
  t.true(isBucketError(error, "unauthenticated"));
  t.is(service.asked.length, 2);
  const busy = bucketAt(t, service.url, { credentials, bucket: "busy", metadataDeadlineMs: 500 });
  await t.throwsAsync(busy.stat("a"));
  t.true(busy.lines.length > 0);
  t.false(busy.lines.join("").includes("token-"), busy.lines.join(""));
});

test("a place tokens come from that is not well is waited for; none at all is said at once, with the remedy", async (t) => {
  const service = await serve(t, (_, response) => sendJson(response, 200, resource()));
  let failures = 2;
  const shaky: HeaderSource = {
    headers: () =>
      failures-- > 0
        ? Promise.reject(Object.assign(new Error("connect"), { code: "ECONNREFUSED" }))
        : Promise.resolve({ authorization: "Bearer t" }),
    expire: () => Promise.resolve(),
  };
  const bucket = bucketAt(t, service.url, { credentials: new SharedCredentials(shaky) });
  t.is((await bucket.stat("a")).value?.generation, 7n);

  const none: HeaderSource = {
    headers: () => Promise.reject(new Error("Could not load the default credentials.")),
    expire: () => Promise.resolve(),
  };
  const error = await t.throwsAsync(
    bucketAt(t, service.url, { credentials: new SharedCredentials(none) }).stat("a"),
  );
  t.true(isBucketError(error, "unauthenticated"));
  t.regex(String(error), /gcloud auth application-default login/);
});

test("a token that never comes ends with the call's deadline", async (t) => {
  const silent: HeaderSource = { headers: () => new Promise(() => {}), expire: () => Promise.resolve() };
  const credentials = new SharedCredentials(silent);
  const bucket = bucketAt(t, "http://127.0.0.1:9", { credentials, metadataDeadlineMs: 300 });
  const started = Date.now();
  t.true(isBucketError(await t.throwsAsync(bucket.stat("a")), "deadline"));
  t.true(Date.now() - started < 1_000);
});

test("no endpoint but Google's is given credentials", (t) => {
  t.is(credentialsFor("http://127.0.0.1:4443"), anonymous);
  t.is(credentialsFor("https://storage.example.com"), anonymous);
  t.is(credentialsFor("http://storage.googleapis.com"), anonymous);
  t.not(credentialsFor("https://storage.googleapis.com"), anonymous);
});

// One process, one metadata server: the library reads its address once.
test.serial(
  "tokens come from Google's library, and STORAGE_EMULATOR_HOST changes nothing about it",
  async (t) => {
    let issued = 0;
    const metadata = createServer((request, response) => {
      response.setHeader("metadata-flavor", "Google");
      if (request.url?.endsWith("/project/project-id")) return response.end("my-project");
      if (!request.url?.includes("/token")) return response.end("default");
      response.setHeader("content-type", "application/json");
      issued += 1;
      return response.end(
        JSON.stringify({ access_token: `issued-${issued}`, expires_in: 3600, token_type: "Bearer" }),
      );
    });
    metadata.listen(0, "127.0.0.1");
    await once(metadata, "listening");
    t.teardown(() => metadata.close());
    const before = { ...process.env };
    t.teardown(() => {
      process.env = before;
    });
    for (const name of ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"])
      delete process.env[name];
    process.env["HOME"] = "/nonexistent";
    process.env["GCE_METADATA_HOST"] = `127.0.0.1:${(metadata.address() as AddressInfo).port}`;
    process.env["METADATA_SERVER_DETECTION"] = "assume-present";
    process.env["STORAGE_EMULATOR_HOST"] = "http://127.0.0.1:9";

    const credentials = credentialsFor("https://storage.googleapis.com");
    const service = await serve(t, (request, response) =>
      request.headers.authorization === "Bearer issued-2"
        ? sendJson(response, 200, resource())
        : refuse(response, 401, "authError"),
    );
    const bucket = bucketAt(t, service.url, { credentials });
    t.is((await bucket.stat("a")).value?.generation, 7n);
    t.is((await bucket.stat("a")).value?.generation, 7n);
    t.deepEqual(
      service.asked.map(({ headers }) => headers.authorization),
      ["Bearer issued-1", "Bearer issued-2", "Bearer issued-2"],
    );
    t.is(issued, 2);
    t.is(await credentials.project?.(), "my-project");
  },
);

test.serial("a key file that is not there is no usable credentials, and said by name", async (t) => {
  const before = process.env["GOOGLE_APPLICATION_CREDENTIALS"];
  process.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/nowhere/key.json";
  t.teardown(() => {
    if (before === undefined) delete process.env["GOOGLE_APPLICATION_CREDENTIALS"];
    else process.env["GOOGLE_APPLICATION_CREDENTIALS"] = before;
  });
  const credentials = credentialsFor("https://storage.googleapis.com");
  const error = await t.throwsAsync(async () => credentials.headers(), { instanceOf: BucketError });
  t.is((error as BucketError).kind, "unauthenticated");
  t.regex(String((error as BucketError).cause), /\/nowhere\/key\.json/);
});
