import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import test from "ava";

import { sharedLocalGcs } from "./local-gcs.fixture.ts";

const gcs = sharedLocalGcs(test);
const MiB = 1024 * 1024;
const size = 500 * MiB;

test("an object of 500 MiB goes up and down in a few tens of MiB of memory", async (t) => {
  const { bucket } = await gcs().session(t);
  const path = join(tmpdir(), `sidemount-large-${randomUUID()}`);
  t.teardown(() => rm(path));
  const file = await open(path, "w");
  const pattern = Buffer.from(Array.from({ length: MiB }, (_, index) => (index * 31) % 251));
  for (let at = 0; at < size; at += MiB) {
    pattern.writeUInt32LE(at, 0);
    await file.write(pattern, 0, MiB, at);
  }
  await file.close();

  const script = join(import.meta.dirname, "memory.fixture.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script, gcs().url, bucket.name, path]);
  const used = JSON.parse(stdout) as Record<string, number>;
  const inMiB = (bytes = 0): number => Math.round(bytes / MiB);
  t.log(
    `upload +${inMiB(used["uploadBytes"])} MiB in ${Math.round(used["uploadMs"] ?? 0)} ms, ` +
      `download +${inMiB(used["downloadBytes"])} MiB in ${Math.round(used["downloadMs"] ?? 0)} ms, ` +
      `at most ${inMiB(used["mostBytes"])} MiB in all`,
  );
  t.is(used["received"], size);
  t.true(inMiB(used["uploadBytes"]) <= 40);
  // Chunks received are garbage soon; how soon it is collected is the engine's business.
  t.true(inMiB(used["downloadBytes"]) <= 120);
});
