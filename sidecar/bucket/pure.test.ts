// Endpoint, names, checksums, service errors, budget: nothing here talks to anyone.

import test from "ava";
import fc from "fast-check";

import { Budget } from "./budget.ts";
import { connectionError } from "./connection-error.ts";
import { crc32cOf, decodeCrc32c, encodeCrc32c } from "./crc32c.ts";
import { endpointFrom, isGoogle } from "./endpoint.ts";
import { isBucketError } from "./errors.ts";
import { encodeQuery, encodeSegment } from "./names.ts";
import { decodeObject } from "./objects.ts";
import { resource } from "./service.fixture.ts";
import { serviceError } from "./service-error.ts";

test("the endpoint is the option, else STORAGE_EMULATOR_HOST in both its forms, else Google's", (t) => {
  const google = "https://storage.googleapis.com";
  t.is(endpointFrom({}, undefined), google);
  t.is(endpointFrom({ STORAGE_EMULATOR_HOST: "" }, undefined), google);
  t.is(endpointFrom({ STORAGE_EMULATOR_HOST: "http://localhost:9000" }, undefined), "http://localhost:9000");
  t.is(endpointFrom({ STORAGE_EMULATOR_HOST: "https://gcs.test/" }, undefined), "https://gcs.test");
  t.is(endpointFrom({ STORAGE_EMULATOR_HOST: "localhost:9000" }, undefined), "http://localhost:9000");
  t.is(endpointFrom({ STORAGE_EMULATOR_HOST: "[::1]:9000" }, undefined), "http://[::1]:9000");
  t.is(endpointFrom({ STORAGE_EMULATOR_HOST: "localhost:9000" }, google), google);
  t.is(endpointFrom({}, "127.0.0.1:4443"), "http://127.0.0.1:4443");
});

test("an endpoint that is none is refused with what was expected", (t) => {
  for (const wrong of [
    "",
    "http://",
    "http://a b",
    "localhost:port",
    "http://host/storage/v1",
    "http://me:secret@host",
  ]) {
    const error = t.throws(() => endpointFrom({}, wrong), undefined, wrong);
    t.true(isBucketError(error, "invalid"));
    t.regex(String(error), /--endpoint/);
  }
});

test("only Google's own hosts are Google's, and only over TLS", (t) => {
  t.true(isGoogle("https://storage.googleapis.com"));
  t.true(isGoogle("https://storage.europe-west3.rep.googleapis.com"));
  t.false(isGoogle("http://storage.googleapis.com"));
  t.false(isGoogle("https://storage.googleapis.com.evil.test"));
  t.false(isGoogle("https://notgoogleapis.com"));
  t.false(isGoogle("http://127.0.0.1:4443"));
});

test("a name is one path segment, with nothing in it that means anything else", (t) => {
  t.is(encodeSegment("a/b c'(d)*!~"), "a%2Fb%20c%27%28d%29%2A%21~");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => {
      fc.pre(name.isWellFormed());
      const encoded = encodeSegment(name);
      return /^[A-Za-z0-9\-_.~%]*$/.test(encoded) && decodeURIComponent(encoded) === name;
    }),
  );
  t.is(encodeQuery({ a: "&=", b: undefined, c: 0n, d: true }), "?a=%26%3D&c=0&d=true");
  t.is(encodeQuery({}), "");
});

test("a checksum is four bytes in base64, and goes on from what came before", (t) => {
  // RFC 3720 B.4: 32 bytes of zeros.
  t.is(crc32cOf(Buffer.alloc(32)), 0x8a9136aa);
  t.is(encodeCrc32c(0x8a9136aa), "ipE2qg==");
  t.is(decodeCrc32c("ipE2qg=="), 0x8a9136aa);
  t.is(decodeCrc32c("AAAA"), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(2000), (array, cut) => {
      const bytes = Buffer.from(array);
      const sum = crc32cOf(bytes);
      const inParts = crc32cOf(bytes.subarray(cut), crc32cOf(bytes.subarray(0, cut)));
      return sum === inParts && sum >= 0 && decodeCrc32c(encodeCrc32c(sum)) === sum;
    }),
  );
});

test("refusals are known by what they mean", (t) => {
  const kindOf = (status: number, reason = "", message = "") =>
    serviceError("x", { status, body: JSON.stringify({ error: { message, errors: [{ reason }] } }) }).kind;
  t.is(kindOf(404, "notFound", "No such object: b/o"), "not-found");
  t.is(kindOf(404, "notFound", "The specified bucket does not exist."), "bucket-not-found");
  t.is(kindOf(403, "forbidden"), "forbidden");
  t.is(kindOf(403, "retentionPolicyNotMet"), "retained");
  t.is(kindOf(403, "objectUnderActiveHold"), "retained");
  t.is(kindOf(403, "rateLimitExceeded"), "throttled");
  t.is(kindOf(403, "userRateLimitExceeded"), "throttled");
  t.is(kindOf(401, "required"), "unauthenticated");
  t.is(kindOf(412, "conditionNotMet"), "precondition-failed");
  t.is(kindOf(429, "rateLimitExceeded"), "throttled");
  t.is(kindOf(400, "invalid", 'Provided CRC32C "a" doesn\'t match calculated CRC32C "b".'), "checksum");
  t.is(kindOf(400, "invalid", "Invalid argument."), "invalid");
  t.is(kindOf(503, "backendError"), "unavailable");
});

test("a refusal says what was asked, the status, the reason and the service's words", (t) => {
  const body = JSON.stringify({ error: { message: "Not\n now", errors: [{ reason: "backendError" }] } });
  const error = serviceError('look-up of "a"', { status: 503, retryAfter: "3", body });
  t.is(error.message, 'look-up of "a": the service answered 503, backendError, Not now');
  t.deepEqual(
    [error.status, error.reason, error.retryAfterMs, error.uncertain],
    [503, "backendError", 3_000, true],
  );
  const now = Date.parse("2026-01-02T03:04:05Z");
  const dated = serviceError(
    "x",
    { status: 429, retryAfter: "Fri, 02 Jan 2026 03:04:10 GMT", body: "" },
    now,
  );
  t.is(dated.retryAfterMs, 5_000);
  t.false(dated.uncertain);
});

test("a refusal that is not JSON is understood by its status", (t) => {
  for (const body of [
    "",
    "null",
    "[]",
    '"text"',
    "<html>Bad Gateway</html>",
    '{"error":7}',
    '{"error":{"errors":[]}}',
  ]) {
    t.is(serviceError("x", { status: 502, body }).kind, "unavailable", body);
  }
  t.true(serviceError("x", { status: 502, body: "x".repeat(10_000) }).message.length < 400);
});

test("a connection that was never made changed nothing, one that was lost may have", (t) => {
  const failure = (code: string) => connectionError("x", Object.assign(new Error(code), { code }));
  for (const code of ["ECONNREFUSED", "ENOTFOUND", "UND_ERR_CONNECT_TIMEOUT"]) {
    t.deepEqual([failure(code).kind, failure(code).uncertain], ["unavailable", false], code);
  }
  for (const code of ["ECONNRESET", "EPIPE", "ETIMEDOUT", "UND_ERR_SOCKET", "HPE_INVALID_CONSTANT"]) {
    t.deepEqual([failure(code).kind, failure(code).uncertain], ["unavailable", true], code);
  }
  t.is(failure("UND_ERR_REQ_CONTENT_LENGTH_MISMATCH").kind, "invalid");
});

test("an answer that does not describe an object is not taken for one", (t) => {
  t.is(decodeObject(resource({ generation: "9007199254740993" })).generation, 9007199254740993n);
  const wrong = [undefined, null, {}, [], "a"];
  const missing = ["name", "generation", "metageneration", "size", "crc32c", "timeCreated", "updated"];
  for (const json of [...wrong, ...missing.map((field) => resource({ [field]: undefined }))]) {
    t.true(
      isBucketError(
        t.throws(() => decodeObject(json)),
        "unavailable",
      ),
    );
  }
});

test("time without progress is counted from the furthest position, not from bytes sent again", (t) => {
  let now = 0;
  const budget = new Budget(10_000, () => now);
  now = 4_000;
  t.is(budget.leftMs(), 6_000);
  t.is(budget.tryMs(), 3_000);
  t.is(budget.failed(), 1);
  t.is(budget.failed(), 2);
  budget.reached(100);
  t.is(budget.leftMs(), 10_000);
  t.is(budget.failed(), 1);
  now = 8_000;
  budget.reached(100);
  budget.reached(50);
  t.is(budget.leftMs(), 6_000);
  now = 13_500;
  t.is(budget.tryMs(), 500, "what is left, where half of it would be too little for an answer");
  now = 20_000;
  t.is(budget.tryMs(), 0);
});
