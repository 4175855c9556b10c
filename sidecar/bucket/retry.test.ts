import test from "ava";
import fc from "fast-check";

import type { BucketErrorKind } from "./errors.ts";
import { retryDelayMs } from "./retry.ts";
import { serviceError } from "./service-error.ts";

const most = (): number => 0.999999;

function delayFor(
  kind: BucketErrorKind,
  attempt = 1,
  leftMs = 60_000,
  retryAfterMs?: number,
): number | undefined {
  const delay = retryDelayMs({ kind, retryAfterMs }, attempt, leftMs, most);
  return delay === undefined ? undefined : Math.round(delay);
}

test("throttling, unavailability and silence are repeated, nothing else is", (t) => {
  for (const kind of ["throttled", "unavailable", "deadline"] as const) t.is(delayFor(kind), 100, kind);
  for (const kind of [
    "not-found",
    "bucket-not-found",
    "precondition-failed",
    "forbidden",
    "unauthenticated",
    "retained",
    "checksum",
    "invalid",
    "aborted",
  ] as const) {
    t.is(delayFor(kind), undefined, kind);
  }
});

test("statuses that pass are repeated, those that do not are not", (t) => {
  const repeated = (status: number): boolean =>
    delayFor(serviceError("x", { status, body: "" }).kind) !== undefined;
  t.deepEqual(
    [408, 429, 500, 502, 503, 504].map(repeated),
    Array.from({ length: 6 }, () => true),
  );
  t.deepEqual(
    [304, 400, 401, 403, 404, 412, 413, 499, 501].map(repeated),
    Array.from({ length: 9 }, () => false),
  );
});

test("each wait may be twice as long as the one before, up to 8 s", (t) => {
  t.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 50].map((attempt) => delayFor("unavailable", attempt)),
    [100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000, 8000],
  );
});

test("waits are spread over the whole time, so that many do not come back at once", (t) => {
  t.is(
    retryDelayMs({ kind: "unavailable", retryAfterMs: undefined }, 5, 60_000, () => 0),
    0,
  );
  t.is(
    retryDelayMs({ kind: "unavailable", retryAfterMs: undefined }, 5, 60_000, () => 0.5),
    800,
  );
});

test("the service's own wish for quiet is honoured, unless it goes beyond the deadline", (t) => {
  t.is(delayFor("throttled", 1, 60_000, 5_000), 5_000);
  t.is(delayFor("throttled", 1, 4_000, 5_000), undefined);
});

test("the last try comes before the deadline", (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 60_000, noNaN: true }),
      (attempt, left) => {
        const delay = delayFor("unavailable", attempt, left);
        return delay === undefined ? left < 20 : delay <= Math.ceil(left / 2);
      },
    ),
  );
  t.pass();
});
