// The worker dies at each named point inside its work, while one of each change is made: every outcome is as without.

import test from "ava";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BucketServer } from "../helpers/bucket-server.ts";
import { mounted, SETTINGS } from "../helpers/mounted.ts";

const run = promisify(execFile);
const STEPS = fileURLToPath(new URL("./steps.py", import.meta.url));

/** Each with how often it must be passed before the worker dies there. */
const POINTS = ["answer", "handover-commit", "state-commit", "insert", "upload", "stat", "list"]
  .concat(["move", "remove", "patch", "compose", "copy", "read"])
  .flatMap((place) => [`before-${place}`, `after-${place}`])
  .flatMap((point) => [`${point} 1`, `${point} 3`]);
const OFTEN = ["answer", "handover-commit"].flatMap((place) =>
  [10, 60, 150].flatMap((times) => [`before-${place} ${times}`, `after-${place} ${times}`]),
);

/** What one pass of the steps comes to fewer than three times. */
const RARE = new Set(
  ["upload", "stat", "compose", "copy", "patch", "read"].flatMap((place) => [
    `before-${place} 3`,
    `after-${place} 3`,
  ]),
);

/** Where acknowledging ahead of the bucket (RULES 11) is another matter. */
const ACKNOWLEDGING = ["answer", "handover-commit", "state-commit"]
  .flatMap((place) => [`before-${place}`, `after-${place}`])
  .flatMap((point) => [1, 3, 7, 15, 30].map((times) => `${point} ${times}`))
  .concat(["before-insert 1", "after-insert 1", "before-insert 3", "after-insert 3"]);

const WAYS = [
  ...SETTINGS.slice(0, 2),
  { name: "write-back", options: ["--channel", "device", "--write-back"] },
] as const;

for (const { name, options } of WAYS) {
  test.serial(
    `${name}: RULES 19: a worker that dies at any point inside its work leaves nothing half done`,
    async (t) => {
      t.timeout(600_000);
      const server = await BucketServer.start(t);
      const armed = path.join(server.directory, "fail-point");
      const mount = await mounted(t, server, options, { SIDEMOUNT_FAIL_POINT_FILE: armed });
      // Where the kernel does not read and write by itself the points are the same; a third of them has to do.
      const all = [...POINTS, ...OFTEN].filter((point) => !RARE.has(point));
      const fewer = name === "write-back" ? ACKNOWLEDGING : all.filter((_, index) => index % 3 === 0);
      const points = name === "passthrough" ? all : fewer;
      const notReached: string[] = [];
      let worstMs = 0;
      for (const [number, point] of points.entries()) {
        await server.put(`cold-${number}`, Buffer.alloc(100_000));
        await server.put(`large-${number}`, Buffer.alloc(3_000_000));
        await writeFile(armed, point);
        const files = [`round-${number}`, `cold-${number}`, `large-${number}`].map((file) =>
          mount.path(file),
        );
        const startedMs = performance.now();
        try {
          await run("/usr/bin/python3", [STEPS, ...files], { timeout: 60_000 });
        } catch (error) {
          t.fail(`${point}: ${String((error as { stderr?: string }).stderr ?? error)}`);
        }
        worstMs = Math.max(worstMs, performance.now() - startedMs);
        if (existsSync(armed)) notReached.push(point);
      }
      t.log(`${points.length} points, longest run of all steps ${Math.round(worstMs)} ms`);
      t.deepEqual(notReached, [], "each point was passed, and the worker died there");
      t.is(await mount.stop(), 0);
      t.is(owedRows(mount.stateDirectory), 0, "and none of them has left anything to be uploaded once more");
      // A worker that dies before it has removed a tail leaves that to any mount, a day later (RULES 8).
      const left = (await server.names(".sidemount.tmp/")).filter((object) => !object.includes("/tails/"));
      t.deepEqual(left, [], "nothing else that is temporary is left in the bucket");
    },
  );
}

function owedRows(stateDirectory: string): number {
  const database = new DatabaseSync(path.join(stateDirectory, "copies.db"), { readOnly: true });
  try {
    const row = database.prepare("SELECT count(*) AS count FROM copies WHERE state = 'owed'").get();
    return Number(row?.["count"]);
  } finally {
    database.close();
  }
}
