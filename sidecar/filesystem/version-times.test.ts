import test from "ava";
import { VersionTimes } from "./version-times.ts";

const S = 1_000_000_000n;

test("RULES 15: of all versions of a name no two have size and second in common", (t) => {
  let now = 100n * S;
  const times = new VersionTimes(() => now);
  const tags = new Set<string>();
  for (let round = 0; round < 200; round += 1) {
    now += BigInt(round % 7) * 100_000_000n; // some within one second, some after a pause
    const size = [4, 5, 4, 4][round % 4]!;
    const time = times.apart("f", size, now);
    times.note("f", size, time);
    const tag = `${time / S}-${size}`;
    t.false(tags.has(tag), tag);
    tags.add(tag);
  }
});

test("other names and other sizes have the time they want", (t) => {
  const times = new VersionTimes(() => 100n * S);
  times.note("f", 4, 100n * S);
  t.is(times.apart("f", 5, 100n * S), 100n * S);
  t.is(times.apart("g", 4, 100n * S), 100n * S);
  t.is(times.apart("f", 4, 100n * S + 5n), 101n * S);
  t.is(times.apart("f", 4, 200n * S), 200n * S);
});

test("what lies in the past is not remembered, however many names there are", (t) => {
  let now = 100n * S;
  const times = new VersionTimes(() => now);
  times.note("old", 4, 50n * S);
  t.is(times.apart("old", 4, 50n * S), 50n * S);
  for (let index = 0; index < 5000; index += 1) {
    now += S;
    times.note(`f${index}`, 4, now);
  }
  t.is(times.apart("f0", 4, 101n * S), 101n * S);
});

test("a time far ahead of the clock was given elsewhere: nobody steps behind it", (t) => {
  const times = new VersionTimes(() => 100n * S);
  times.note("f", 4, 9000n * S);
  t.is(times.apart("f", 4, 100n * S), 100n * S);
});
