// The bytes of an upload, from memory or from a file that others may be writing to.
//
// Always read by position: the descriptor is shared. A file above the single-request size is never held whole.

import { read as readDescriptor } from "node:fs";

import type { UploadSource } from "./bucket.ts";
import { crc32cOf } from "./crc32c.ts";
import { BucketError } from "./errors.ts";

// Enough to keep a fast connection busy between two disk reads, little enough for many uploads at once.
const pieceBytes = 1024 * 1024;

export function sizeOf(source: UploadSource): number {
  return source.kind === "bytes" ? source.bytes.length : source.size;
}

/**
 * All bytes of a small source. Those of a file are checked against the checksum it was announced with, so that a
 * file that changed in between is found before anything is sent (RULES 3).
 */
export async function readWhole(source: UploadSource): Promise<Buffer> {
  if (source.kind === "bytes") return source.bytes;
  const bytes = Buffer.allocUnsafe(source.size);
  await fill(source.descriptor, bytes, source.start ?? 0);
  if (crc32cOf(bytes) !== source.crc32c) {
    throw new BucketError("checksum", "the file changed after its checksum was computed");
  }
  return bytes;
}

/**
 * The bytes from `position` to the end, in pieces. A file's pieces share two buffers: a piece may be used until
 * the next but one is asked for. The connection asks for the next piece only when the one before has been written
 * (a piece is far larger than its high-water mark), and what is sent is verified by the service's CRC32C.
 */
export async function* piecesFrom(source: UploadSource, position: number): AsyncGenerator<Buffer> {
  const size = sizeOf(source);
  const buffers = source.kind === "file" ? [newPiece(size - position), newPiece(size - position)] : [];
  for (let at = position, turn = 0; at < size; turn ^= 1) {
    const length = Math.min(pieceBytes, size - at);
    if (source.kind === "bytes") {
      yield source.bytes.subarray(at, at + length);
    } else {
      const piece = (buffers[turn] as Buffer).subarray(0, length);
      await fill(source.descriptor, piece, (source.start ?? 0) + at);
      yield piece;
    }
    at += length;
  }
}

function newPiece(wanted: number): Buffer {
  return Buffer.allocUnsafe(Math.min(pieceBytes, wanted));
}

async function fill(descriptor: number, into: Buffer, position: number): Promise<void> {
  for (let filled = 0; filled < into.length;) {
    const count = await readAt(descriptor, into, filled, position + filled);
    if (count === 0)
      throw new BucketError("checksum", "the file became shorter after its checksum was computed");
    filled += count;
  }
}

function readAt(descriptor: number, into: Buffer, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readDescriptor(descriptor, into, offset, into.length - offset, position, (error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}
