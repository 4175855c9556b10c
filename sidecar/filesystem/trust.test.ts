import test from "ava";
import { confirmation, isTrusted, remainingTrustMs } from "./trust.ts";

const rule = { freshnessMs: 60_000, soleWriter: false };
const HOUR_MS = 3_600_000;

test("RULES 32: a version is trusted for a tenth of its age, at most the freshness", (t) => {
  const young = confirmation(rule, 0, 10_000, 500);
  t.true(isTrusted(young, 500 + 999));
  t.false(isTrusted(young, 500 + 1001));
  const old = confirmation(rule, 0, HOUR_MS, 500);
  t.true(isTrusted(old, 500 + 59_999));
  t.false(isTrusted(old, 500 + 60_001));
});

test("RULES 32: age is measured with the bucket's clock, so a machine whose clock is wrong trusts no longer", (t) => {
  // Both times are the bucket's; ours only counts the waiting. An answer from the past has age 0, never less.
  t.is(confirmation(rule, 5000, 4000, 1).trustMs, 0);
});

test("RULES 32: freshness 0 asks at every open, but one program call asks once", (t) => {
  const confirmed = confirmation({ freshnessMs: 0, soleWriter: false }, 0, HOUR_MS, 1000);
  t.true(isTrusted(confirmed, 1099));
  t.false(isTrusted(confirmed, 1101));
  t.is(remainingTrustMs(confirmed, 1001), 0, "the kernel keeps nothing");
});

test("RULES 32: a sole writer never asks again", (t) => {
  const confirmed = confirmation({ freshnessMs: 0, soleWriter: true }, 0, 1, 0);
  t.true(isTrusted(confirmed, 1e15));
});

test("what was never confirmed is never trusted", (t) => {
  t.false(isTrusted(undefined, 0));
  t.is(remainingTrustMs(undefined, 0), 0);
});
