// What has to be true of a file when the program that changed it has ended.

import { readFile } from "node:fs/promises";
import type { ExecutionContext } from "ava";
import type { BucketServer } from "../../helpers/bucket-server.ts";
import type { Mount } from "../../helpers/mounted.ts";

/** The object `file` has these bytes already, and so has the file on a mount that is made anew. */
export async function holds(
  t: ExecutionContext,
  { server, mount }: { server: BucketServer; mount: Mount },
  bytes: Buffer,
): Promise<void> {
  t.true((await server.get("file"))?.equals(bytes), "the object differs");
  t.is(await mount.stop(), 0);
  await mount.start();
  t.true((await readFile(mount.path("file"))).equals(bytes), "the file differs");
}
