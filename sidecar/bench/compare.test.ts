import test from "ava";
import { compare, median, table } from "./compare.ts";

test("the median is the middle value, or the mean of the two in the middle", (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
});

test("both sides are measured in turns, the first time without counting", async (t) => {
  const order: string[] = [];
  const side = (name: string, values: number[]) => async () => {
    order.push(name);
    return values.shift() ?? 0;
  };
  const result = await compare(
    { what: "x", unit: "/s", goal: 0.9, rounds: 3 },
    side("disk", [999, 10, 20, 30]),
    side("mount", [0, 5, 10, 15]),
  );
  t.deepEqual(order, ["disk", "mount", "disk", "mount", "disk", "mount", "disk", "mount"]);
  t.deepEqual([result.disk, result.mount, result.ratio], [20, 10, 0.5]);
  t.regex(table([result]), /\| x \| 20\.0 \/s \| 10\.0 \/s \| 0\.50 \| ≥ 0\.9: NO \|/);
});
