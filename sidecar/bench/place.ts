// Where a benchmark runs: a server, a mount of it, and a folder on the disk that holds the mount's copies.

import { mkdir } from "node:fs/promises";
import path from "node:path";
import { BucketServer } from "../test/helpers/bucket-server.ts";
import type { Cleaning } from "../test/helpers/cleanups.ts";
import { mounted } from "../test/helpers/mounted.ts";

const HOUR_MS = 3_600_000;

export interface Side {
  readonly name: "mount" | "disk";
  readonly folder: string;
}

export interface Place {
  readonly mount: Side;
  readonly disk: Side;
  /** Makes everything in the bucket an hour older, so that what was just written is trusted for long. */
  readonly age: () => Promise<void>;
}

/** Starts everything; `cleaning` ends it and removes what it left. */
export async function makePlace(cleaning: Cleaning): Promise<Place> {
  const server = await BucketServer.start(cleaning);
  const mount = await mounted(cleaning, server);
  // Removed together with the state folder it lies beside.
  const disk = path.join(path.dirname(mount.stateDirectory), "disk");
  await mkdir(disk);
  let aheadMs = 0;
  return {
    mount: { name: "mount", folder: mount.directory },
    disk: { name: "disk", folder: disk },
    age: () => server.age((aheadMs += HOUR_MS)),
  };
}
