// fsx, the public program that reads, writes, maps, cuts and extends one file at random and compares every byte.

import anyTest, { type TestFn } from "ava";
import { session, SETTINGS } from "../helpers/mounted.ts";
import { localFolder } from "../programs/trees.ts";
import { holds } from "./fsx/holds.ts";
import { NOT_NATIVE, type Shape } from "./fsx/operations.ts";
import { expectedAfter, runFsx, type Run } from "./fsx/run.ts";

const test = anyTest as TestFn;
const MB = 1 << 20;
const TIME_MS = 20 * 60_000; // far more than it takes, for a machine that does other things too

const small: Shape = { fileBytes: 256 << 10, operationBytes: 64 << 10 };
/** Crosses the size above which an upload goes in pieces, and that of several read-aheads. */
const large: Shape = { fileBytes: 20 * MB, operationBytes: 3 * MB };
/** 100,000 operations. Each run begins on what the one before left, on a mount that was made anew. */
const RUNS: readonly Run[] = [
  { shape: small, operations: 8000, seed: 1 },
  { shape: { ...small, leaveMappings: true }, operations: 90_000, seed: 2 },
  { shape: large, operations: 500, seed: 3 },
  { shape: { ...large, leaveMappings: true }, operations: 1500, seed: 4 },
];

for (const { name: setting, options } of SETTINGS) {
  // libfuse hands over every single page, so a tenth takes as long there.
  const part = setting === "native" ? 10 : 1;
  const without = setting === "native" ? NOT_NATIVE : [];
  test.serial(
    `${setting}: after ${100_000 / part} operations of fsx the object and a new mount have the bytes it wrote`,
    async (t) => {
      t.timeout(TIME_MS);
      const place = await session(t, options);
      const scratch = await localFolder(t);
      for (const { operations, shape, seed } of RUNS) {
        const begun = performance.now();
        const one: Run = { shape: { ...shape, without }, operations: operations / part, seed };
        const [expected] = await Promise.all([
          expectedAfter(one),
          runFsx(place.mount.path("file"), one, scratch),
        ]);
        t.log(`seed ${one.seed}: ${one.operations} in ${Math.round((performance.now() - begun) / 1000)} s`);
        await holds(t, place, expected);
      }
    },
  );
}
