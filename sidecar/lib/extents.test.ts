import test from "ava";
import fc from "fast-check";
import { Extents } from "./extents.ts";

const LENGTH = 40;
const range = fc
  .tuple(fc.nat(LENGTH), fc.nat(LENGTH))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
const step = fc.record({ add: fc.boolean(), range });

test("a set of ranges holds exactly the bytes that were added and not removed", (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), range, (steps, asked) => {
      const extents = new Extents();
      const model = new Set<number>();
      for (const { add, range: bytes } of steps) {
        if (add) extents.add(bytes);
        else extents.remove(bytes);
        for (let at = bytes.start; at < bytes.end; at += 1) {
          if (add) model.add(at);
          else model.delete(at);
        }
      }
      const held = extents.ranges.flatMap(({ start, end }) =>
        Array.from({ length: end - start }, (_, i) => start + i),
      );
      const missing = extents
        .gaps(asked)
        .flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
      const wanted = Array.from({ length: asked.end - asked.start }, (_, i) => asked.start + i);
      t.deepEqual(
        held,
        [...model].sort((a, b) => a - b),
      );
      t.is(extents.total, model.size);
      t.deepEqual(
        missing,
        wanted.filter((at) => !model.has(at)),
      );
      t.is(extents.has(asked), missing.length === 0);
    }),
  );
});

test("taking away nothing changes nothing", (t) => {
  const extents = new Extents([{ start: 0, end: 10 }]);
  extents.remove({ start: 5, end: 5 });
  t.deepEqual(extents.ranges, [{ start: 0, end: 10 }]);
  t.true(extents.has({ start: 4, end: 6 }));
});

test("neighbouring ranges become one", (t) => {
  const extents = new Extents([
    { start: 0, end: 4 },
    { start: 8, end: 12 },
  ]);
  extents.add({ start: 4, end: 8 });
  t.deepEqual(extents.ranges, [{ start: 0, end: 12 }]);
});
