// Space on disk of a copy's file: reserved, or given back.

import { statfs } from "node:fs/promises";
import { constants } from "node:os";
import type { ByteRange } from "../lib/extents.ts";
import {
  allocate,
  FALLOCATE_KEEP_SIZE,
  FALLOCATE_PUNCH_HOLE,
  FALLOCATE_ZERO_RANGE,
  SystemCallError,
} from "../lib/system-calls.ts";
import type { Copy } from "./copy.ts";
import { reserveOf } from "./disk-space.ts";

export interface SpaceChange {
  /** Space is reserved for the range (its bytes stay), it becomes zeros, or it becomes zeros that take no space. */
  readonly kind: "reserve" | "zero" | "hole";
  /** A range beyond the end does not make the file longer. */
  readonly keepSize: boolean;
}

const NONE: ByteRange = { start: 0, end: 0 };

/**
 * fallocate(2) on behalf of a program. Throws SystemCallError: ENOSPC, or ENOTSUP where the disk's file system cannot.
 * What becomes zeros is present from then on, whatever the bucket has there.
 */
export function changeSpace(copy: Copy, { kind, keepSize }: SpaceChange, range: ByteRange): Promise<void> {
  return copy.overwrite(async (descriptor) => {
    if (kind !== "hole") await requireSpace(copy, range);
    const keep = keepSize ? FALLOCATE_KEEP_SIZE : 0;
    if (kind === "reserve") await change(descriptor, keep, range);
    else if (kind === "hole") await change(descriptor, FALLOCATE_PUNCH_HOLE | FALLOCATE_KEEP_SIZE, range);
    else await makeZero(descriptor, keep, range);
    return kind === "reserve" ? NONE : range;
  });
}

/** tmpfs knows holes, but no zeros that keep their space: a hole whose space is reserved again is the same. */
async function makeZero(descriptor: number, keep: number, range: ByteRange): Promise<void> {
  try {
    await change(descriptor, FALLOCATE_ZERO_RANGE | keep, range);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.code !== "ENOTSUP") throw error;
    await change(descriptor, FALLOCATE_PUNCH_HOLE | FALLOCATE_KEEP_SIZE, range);
    await change(descriptor, keep, range);
  }
}

function change(descriptor: number, mode: number, { start, end }: ByteRange): Promise<void> {
  return allocate(descriptor, mode, start, end - start);
}

/**
 * Some file systems take all the space there is before they say that it is not enough, and keep it: then everything
 * on that disk fails for want of it. What cannot fit is not begun.
 */
async function requireSpace(copy: Copy, { start, end }: ByteRange): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(copy.path);
  const taken = copy.observe().allocatedBytes;
  if (end - start - taken > bavail * bsize - reserveOf(blocks * bsize))
    throw new SystemCallError("fallocate", constants.errno.ENOSPC);
}
