// Files too large to be fetched whole: the local copy has holes, which only the bucket can fill, until the file is stored
// or was read to its end.

import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import anyTest, { type TestFn } from "ava";
import { session, SETTINGS } from "../helpers/mounted.ts";
import { bytes, localFolder } from "../programs/trees.ts";
import { holds } from "./fsx/holds.ts";
import { NOT_NATIVE, type Shape } from "./fsx/operations.ts";
import { expectedAfter, runFsx, type Run } from "./fsx/run.ts";

const test = anyTest as TestFn;
const run = promisify(execFile);
const MB = 1 << 20;
const TIME_MS = 20 * 60_000; // far more than it takes, for a machine that does other things too

const FILE_BYTES = 70 * MB;
/** Nothing is msynced: that stores the whole file in the bucket each time, as fsync does. */
const beginning: Shape = { fileBytes: MB, operationBytes: 64 << 10, leaveMappings: true, inPlace: true };
const RUNS: readonly Run[] = [
  { shape: { ...beginning, without: ["fsync", "fdatasync"] }, operations: 10_000, seed: 5 },
  { shape: beginning, operations: 1000, seed: 6 },
];
const WANDER = fileURLToPath(new URL("fsx/wander.py", import.meta.url));
const WANDERINGS = [7, 8];

for (const { name: setting, options } of SETTINGS) {
  const notOffered = setting === "native" ? NOT_NATIVE : [];
  test.serial(`${setting}: fsx changes the beginning of a large file, and the rest stays`, async (t) => {
    t.timeout(TIME_MS);
    const place = await session(t, options);
    const scratch = await localFolder(t);
    let content: Buffer = bytes(FILE_BYTES);
    await place.server.put("file", content);
    for (const { shape, ...rest } of RUNS) {
      const without = [...(shape.without ?? []), ...notOffered];
      const each: Run = { shape: { ...shape, without }, ...rest };
      await runFsx(place.mount.path("file"), each, scratch);
      content = await expectedAfter(each, content);
      await holds(t, place, content);
    }
  });

  test.serial(
    `${setting}: a large file is read and changed all over while parts of it are in the bucket only`,
    async (t) => {
      t.timeout(TIME_MS);
      const place = await session(t, options);
      const expected = path.join(await localFolder(t), "expected");
      for (const seed of WANDERINGS) {
        const content = bytes(FILE_BYTES, seed);
        await writeFile(expected, content);
        await place.server.put("file", content);
        const least = FILE_BYTES - 2 * MB;
        const words = [
          WANDER,
          place.mount.path("file"),
          expected,
          `${seed}`,
          "2000",
          `${least}`,
          ...notOffered,
        ];
        await run("/usr/bin/python3", words);
        await holds(t, place, await readFile(expected));
      }
    },
  );
}
