// The bytes of a version put aside, while the file they are in may be written to.

import { constants } from "node:fs";
import fs from "node:fs/promises";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { Copy } from "./copy.ts";
import { holdsVersion } from "./snapshot.ts";

export interface Cloning {
  readonly id: string;
  readonly path: string;
  /** Only if the disk can share them. */
  readonly sharedOnly: boolean;
  /** Nobody can write to the file now. */
  readonly quiet: boolean;
}

/** A copy with exactly the bytes of `version`; undefined, and nothing is left of it, if the file has others by now. */
export async function cloneCopy(
  copy: Copy,
  version: ObjectInfo,
  { id, path, sharedOnly, quiet }: Cloning,
): Promise<Copy | undefined> {
  const mode = sharedOnly ? constants.COPYFILE_FICLONE_FORCE : constants.COPYFILE_FICLONE;
  let clone: Copy | undefined;
  let good = false;
  try {
    await fs.copyFile(copy.path, path, mode);
    clone = new Copy(id, path, { version, create: false });
    // Where somebody may write meanwhile, only the checksum proves what was copied.
    const proven = quiet && !copy.changed() && copy.version?.generation === version.generation;
    good = proven || (await holdsVersion(clone, version));
  } catch (error) {
    if (!sharedOnly) throw error;
  } finally {
    if (!good) {
      clone?.close();
      await fs.rm(path, { force: true });
    }
  }
  return good ? clone : undefined;
}
