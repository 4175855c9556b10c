import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import test from "ava";

interface Left {
  readonly heapBytes: number;
  readonly outsideBytes: number;
  readonly descriptors: number;
  readonly timers: number;
  readonly connections: number;
}

test("7,500 calls that fail in every way leave no memory, no descriptor, no timer and no connection behind", async (t) => {
  const script = join(import.meta.dirname, "fault-leaks.fixture.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", script]);
  const { failed, before, after } = JSON.parse(stdout) as { failed: number; before: Left; after: Left };
  t.log(JSON.stringify({ before, after }));
  t.is(failed, 12 * 25 * 5 * 5);
  t.true(after.heapBytes - before.heapBytes < 2_000_000, "200 bytes for each call would show");
  t.true(after.outsideBytes - before.outsideBytes < 4_000_000);
  t.true(after.descriptors <= before.descriptors);
  t.true(after.timers <= before.timers + 1);
  t.is(after.connections, 0);
});
