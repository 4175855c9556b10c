// Kept bytes as a whole file: what is here of a partial copy, and the rest of the version it belongs to.

import fs from "node:fs/promises";
import { constants } from "node:fs";
import type { Bucket } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import { Extents, type ByteRange } from "../lib/extents.ts";
import type { KeptCopy } from "./kept.ts";

/** The bytes are not all here and cannot be had. The message says which are missing. */
export class IncompleteError extends Error {
  override readonly name = "IncompleteError";
}

/** The ranges of the file that are not here. Undefined where that is not known. */
export function missingRanges({ present, size, state, changed }: KeptCopy): ByteRange[] | undefined {
  if (present === undefined) return [];
  // Of a run that was killed nobody knows which bytes a program had put where.
  if (state === "unfinished" && changed !== "appended") return undefined;
  return new Extents(present).gaps({ start: 0, end: size });
}

/**
 * A file with all bytes: the kept one itself, or `into`, made of it and of what the bucket still has of its version.
 * Throws IncompleteError where that cannot be done; nothing is left of `into` then.
 */
export async function completeFile(
  entry: KeptCopy,
  bucket: Pick<Bucket, "read"> | undefined,
  into: string,
): Promise<string> {
  const missing = missingRanges(entry);
  if (missing?.length === 0) return entry.path;
  if (missing === undefined)
    throw new IncompleteError(
      `of ${entry.object} only parts are here, and which bytes of them are new is not known; what there is lies in ${entry.path}`,
    );
  try {
    await fs.copyFile(entry.path, into, constants.COPYFILE_FICLONE);
    const file = await fs.open(into, "r+");
    try {
      for (const range of missing) await fetchRange(entry, bucket, file, range);
      await file.sync();
    } finally {
      await file.close();
    }
    return into;
  } catch (error) {
    await fs.rm(into, { force: true });
    throw error;
  }
}

async function fetchRange(
  entry: KeptCopy,
  bucket: Pick<Bucket, "read"> | undefined,
  file: fs.FileHandle,
  range: ByteRange,
): Promise<void> {
  const { version } = entry;
  if (version === undefined || bucket === undefined || range.end > version.size)
    throw incomplete(entry, "nobody has them any more");
  let position = range.start;
  try {
    for await (const chunk of bucket.read(version, { range })) {
      await file.write(chunk, 0, chunk.length, position);
      position += chunk.length;
    }
  } catch (error) {
    if (!isBucketError(error)) throw error;
    const gone = `the bucket no longer has the version they belong to (generation ${version.generation})`;
    throw incomplete(
      entry,
      error.kind === "not-found" ? gone : `the bucket does not give them: ${error.message}`,
    );
  }
}

function incomplete(entry: KeptCopy, why: string): IncompleteError {
  const ranges = (missingRanges(entry) ?? []).map(({ start, end }) => `${start}-${end - 1}`);
  const shown = ranges.slice(0, 5).join(", ") + (ranges.length > 5 ? `, and ${ranges.length - 5} more` : "");
  return new IncompleteError(
    `of ${entry.object} the bytes ${shown} are missing, and ${why}; what there is lies in ${entry.path}`,
  );
}
