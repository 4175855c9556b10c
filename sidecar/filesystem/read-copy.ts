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
  /** Whether there is room for so many bytes more. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
  /** Bytes that are not here, and for which there is no room. */
  readonly pass: (range: ByteRange) => Promise<Buffer>;
}

/**
 * Bytes from `offset`, short only at the end; fetched first where absent, and further ahead for those who read on. Where the
 * disk has no room for them they are read all the same, and not kept (RULES 12).
 */
export async function readCopy(reading: CopyReading, offset: number, length: number): Promise<Buffer> {
  const { copy, hasRoom } = reading;
  const end = Math.min(offset + length, copy.whole ? offset + length : copy.observe().size);
  if (offset >= end) return EMPTY;
  const range = { start: offset, end };
  const bytes = missingBytes(copy, range);
  if (bytes > 0 && !(await hasRoom(bytes))) return readPassing(reading, range);
  await haveRange(reading, range);
  return copy.read(offset, end - offset);
}

/** As `readCopy`, for those who get at the bytes themselves: resolves when the range is here. */
export async function haveRange(
  { copy, fetcher, position, bring, hasRoom }: Omit<CopyReading, "pass">,
  range: ByteRange,
): Promise<void> {
  if (copy.whole || fetcher === undefined) return;
  const { needed, ahead } = position().plan(range);
  await bring({ start: needed.start, end: Math.min(needed.end, copy.versionEnd) });
  if (ahead === undefined) return;
  const further = { start: ahead.start, end: Math.min(ahead.end, copy.versionEnd) };
  if (await hasRoom(missingBytes(copy, further))) fetcher.lookAhead(further);
}

async function readPassing({ copy, pass }: CopyReading, range: ByteRange): Promise<Buffer> {
  const parts: Buffer[] = [];
  let position = range.start;
  for (const gap of copy.missing(range)) {
    if (position < gap.start) parts.push(await copy.read(position, gap.start - position));
    parts.push(await pass(gap));
    position = gap.end;
  }
  if (position < range.end) parts.push(await copy.read(position, range.end - position));
  return Buffer.concat(parts);
}

function missingBytes(copy: Copy, range: ByteRange): number {
  return copy.missing(range).reduce((sum, { start, end }) => sum + end - start, 0);
}
