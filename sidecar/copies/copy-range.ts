// From one local copy into another, or within one, without the bytes passing through this process. Where the disk can
// share blocks (btrfs, XFS) none are copied.

import { copyFileRange } from "../lib/system-calls.ts";
import type { Copy } from "./copy.ts";

/** At a time: the kernel holds the lock of the file that is written to meanwhile, and nobody can interrupt it. */
const AT_A_TIME_BYTES = 64 << 20;

export interface RangeToCopy {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/** Copies bytes that are present in `source`; answers how many, which may be fewer than asked for. 0 at the end. */
export async function copyRange(source: Copy, destination: Copy, range: RangeToCopy): Promise<number> {
  const { from, to } = range;
  const length = Math.min(range.length, AT_A_TIME_BYTES);
  let copied = 0;
  await destination.overwrite(async (into) => {
    copied = await source
      .use((out) => copyFileRange(out, from, into, to, length))
      .catch((error: unknown) => {
        throw destination.lacking(to, error);
      });
    return { start: to, end: to + copied };
  });
  return copied;
}
