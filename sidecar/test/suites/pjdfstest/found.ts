// All cases of pjdfstest on a mount in one setting: most in one run, those that need a place or a run of their own by
// themselves.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { BucketServer } from "../../helpers/bucket-server.ts";
import { Cleanups } from "../../helpers/cleanups.ts";
import { Mount, mounted } from "../../helpers/mounted.ts";
import { LONG_MOUNT_POINT_BYTES, LONG_PATHS, READ_ONLY } from "./expectations.ts";
import type { Case } from "./report.ts";
import { runPjdfstest } from "./run.ts";

const run = promisify(execFile);

/** Mounts with `options`, runs everything, and leaves nothing behind. */
export async function findings(options: readonly string[]): Promise<Case[]> {
  const cleanups = new Cleanups();
  try {
    const server = await BucketServer.start(cleanups);
    const mount = await mounted(cleanups, server, options);
    const ordinary = await runPjdfstest(mount.directory, await scratchFolder(cleanups));
    const readOnly = await runPjdfstest(mount.directory, await scratchFolder(cleanups), READ_ONLY);
    const deep = await deeplyMounted(cleanups, server, options);
    const long = await runPjdfstest(deep.directory, await scratchFolder(cleanups), LONG_PATHS);
    const again = new Map([...readOnly, ...long].map((each) => [each.name, each]));
    return ordinary.map((each) => again.get(each.name) ?? each);
  } finally {
    await cleanups.run();
  }
}

/** A mount whose own path takes so much of the longest path that what is left fits the name of an object. */
async function deeplyMounted(
  cleanups: Cleanups,
  server: BucketServer,
  options: readonly string[],
): Promise<Mount> {
  const top = await scratchFolder(cleanups);
  const level = "a-long-name-for-a-folder".repeat(8);
  let base = top;
  while (base.length < LONG_MOUNT_POINT_BYTES) base = path.join(base, level);
  // State has a place of its own: SQLite opens no file with such a path.
  const mount = new Mount(server, base, [...options, "--state-dir", path.join(top, "state")]);
  await mkdir(mount.directory, { recursive: true });
  cleanups.teardown(async () => {
    await mount.stop();
    await mount.detach();
  });
  await mount.start();
  return mount;
}

async function scratchFolder(cleanups: Cleanups): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sidemount-suite-"));
  await run("chmod", ["755", folder]); // other users come through it
  cleanups.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
