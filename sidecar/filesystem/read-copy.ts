// Reading a copy some of whose bytes may still be in the bucket.

import type { Copy } from "../copies/copy.ts";
import type { Fetcher, ReaderPosition } from "../copies/fetch.ts";
import type { ByteRange } from "../lib/extents.ts";

const EMPTY = Buffer.alloc(0);

/** What is read, and by whom. */
export interface CopyReading {
  readonly copy: Copy;
  readonly fetcher: Fetcher | undefined;
  /** Where the reader is; asked only while bytes are missing. */
  readonly position: () => ReaderPosition;
  /** Brings a range that is not here yet. */
  readonly bring: (range: ByteRange) => Promise<void>;
}

/** Bytes from `offset`, short only at the end; fetched first where absent, and further ahead for those who read on. */
export async function readCopy(reading: CopyReading, offset: number, length: number): Promise<Buffer> {
  const { copy } = reading;
  const end = Math.min(offset + length, copy.whole ? offset + length : copy.observe().size);
  if (offset >= end) return EMPTY;
  await haveRange(reading, { start: offset, end });
  return copy.read(offset, end - offset);
}

/** As `readCopy`, for those who get at the bytes themselves: resolves when the range is here. */
export async function haveRange(
  { copy, fetcher, position, bring }: CopyReading,
  range: ByteRange,
): Promise<void> {
  if (copy.whole || fetcher === undefined) return;
  const { needed, ahead } = position().plan(range);
  await bring({ start: needed.start, end: Math.min(needed.end, copy.versionEnd) });
  if (ahead !== undefined)
    fetcher.lookAhead({ start: ahead.start, end: Math.min(ahead.end, copy.versionEnd) });
}
