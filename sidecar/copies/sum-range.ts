// The checksum of a part of an open file that nobody writes to.

import type { FileHandle } from "node:fs/promises";
import { crc32c } from "@node-rs/crc32";

const CHUNK_BYTES = 1 << 20;

/** CRC32C of the bytes from `start` up to `end`. */
export async function sumRange(file: FileHandle, start: number, end: number): Promise<number> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let sum = 0;
  for (let position = start; position < end;) {
    const { bytesRead } = await file.read(chunk, 0, Math.min(CHUNK_BYTES, end - position), position);
    if (bytesRead === 0) break;
    sum = crc32c(chunk.subarray(0, bytesRead), sum);
    position += bytesRead;
  }
  return sum;
}
