// Where a copy has holes. What is still in the bucket only is none: nobody knows what it is before it is here.

import type { ByteRange } from "../lib/extents.ts";
import { seekData, seekHole } from "../lib/system-calls.ts";
import type { Copy } from "./copy.ts";

/** Where data starts at or after `offset`; undefined if there is none up to the end. */
export async function findData(copy: Copy, offset: number): Promise<number | undefined> {
  const absent = absentFrom(copy, offset).at(0);
  const found = await copy.use((descriptor) => seekData(descriptor, offset));
  return absent === undefined ? found : Math.min(absent.start, found ?? absent.start);
}

/** Where a hole starts at or after `offset`, of which the end of the file is one; undefined beyond it. */
export async function findHole(copy: Copy, offset: number): Promise<number | undefined> {
  const absent = absentFrom(copy, offset);
  for (let position = offset; ;) {
    const found = await copy.use((descriptor) => seekHole(descriptor, position));
    const within = absent.find(({ start, end }) => found !== undefined && start <= found && found < end);
    if (within === undefined) return found ?? (position > offset ? position : undefined);
    position = within.end;
  }
}

/** Taken before the file is looked at: what arrives in between counts as data either way. */
function absentFrom(copy: Copy, offset: number): ByteRange[] {
  return copy.missing({ start: offset, end: Number.POSITIVE_INFINITY });
}
