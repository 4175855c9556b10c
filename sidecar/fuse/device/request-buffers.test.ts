import test from "ava";

import { RequestBuffers } from "./request-buffers.ts";

const SIZE = 1 << 20;

test("small data is copied out, large data keeps its buffer and reading goes on in another", (t) => {
  const buffers = new RequestBuffers(SIZE, () => {});
  const first = buffers.current;
  first.fill("a");
  const small = buffers.hold(100);
  t.is(buffers.current, first);
  first.fill("b");
  t.is(small.bytes.toString(), "a".repeat(100));

  const large = buffers.hold(SIZE);
  t.not(buffers.current, first);
  t.is(large.bytes.buffer, first.buffer);
  large.release();
  buffers.hold(SIZE);
  t.is(buffers.current, first); // used again
});

test("it is full with 64 MiB held, and says so when there is room again", (t) => {
  let room = 0;
  const buffers = new RequestBuffers(SIZE, () => room++);
  const held = Array.from({ length: 64 }, () => buffers.hold(SIZE));
  t.true(buffers.full);
  held[0]?.release();
  t.false(buffers.full);
  held[1]?.release();
  t.is(room, 1);
});
