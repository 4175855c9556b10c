// Checksum first (RULES 3): the bytes to upload are read once for their CRC32C, with ctime and length the
// same before and after, and the service is told that checksum, so it refuses a file that changed in between.

import fs from "node:fs/promises";
import { constants } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { crc32c } from "@node-rs/crc32";
import type { ObjectInfo, UploadSource } from "../bucket/bucket.ts";
import { combineCrc32c } from "../lib/crc32c-combine.ts";
import { type Copy } from "./copy.ts";
import { sameStamp, type Stamp } from "./stamp.ts";
import { sumRange } from "./sum-range.ts";

/** Up to here the very bytes that were summed are sent, from memory, in one request. */
export const IN_MEMORY_MAX_BYTES = 8 << 20;
/** Kernels before 6.13 move ctime in steps of one tick, at most 10 ms; a store in the same tick would not show. */
export const CTIME_REST_MS = 20;
/** A file that changed this often under our reading is uploaded from a clone instead. */
const ATTEMPTS_BEFORE_CLONE = 5;
const CHUNK_BYTES = 1 << 20;

/** What was summed. */
export interface Summed {
  /** The file's state that was summed. */
  readonly stamp: Stamp;
  readonly size: number;
  readonly crc32c: number;
  /** Whether ctime was old enough when summed that an equal ctime later proves equal bytes. */
  readonly rested: boolean;
}

export interface Snapshot extends Summed {
  readonly source: UploadSource;
  /** Of bytes that were put aside before the file was written to again: the file they are in (RULES 11). */
  readonly aside?: string;
  /** Frees what only this upload needed. */
  dispose(): Promise<void>;
}

const nothingToDispose = (): Promise<void> => Promise.resolve();

/** CRC32C of the bytes from `start` up to `size` of an open file. */
export async function sumFile(copy: Copy, size: number, start = 0): Promise<number> {
  let sum = 0;
  for (let position = start; position < size; position += CHUNK_BYTES) {
    sum = crc32c(await copy.read(position, Math.min(CHUNK_BYTES, size - position)), sum);
  }
  return sum;
}

/** Whether the file's bytes are the version's, whatever its times say. */
export async function holdsVersion(copy: Copy, { size, crc32c: expected }: ObjectInfo): Promise<boolean> {
  return copy.observe().size === size && (await sumFile(copy, size)) === expected;
}

function ageMs(stamp: Stamp): number {
  return Date.now() - Number(stamp.changedNs / 1_000_000n);
}

/**
 * A state of the file with its checksum. Small files come from memory; large ones are waited for until they rest,
 * unless `busy` says that they do not.
 */
export async function takeSnapshot(copy: Copy, clonePath: string, busy = false): Promise<Snapshot> {
  if (busy) return fromClone(copy, clonePath);
  for (let attempt = 0; attempt < ATTEMPTS_BEFORE_CLONE; attempt += 1) {
    await copy.mark();
    await copy.sync();
    const before = copy.observe();
    const small = before.size <= IN_MEMORY_MAX_BYTES;
    const rested = ageMs(before) >= CTIME_REST_MS;
    if (!small && !rested) {
      await delay(CTIME_REST_MS);
      continue;
    }
    const snapshot = small ? await inMemory(copy, before, rested) : await inPlace(copy, before);
    if (sameStamp(before, copy.observe())) return snapshot;
  }
  return fromClone(copy, clonePath);
}

async function inMemory(copy: Copy, stamp: Stamp, rested: boolean): Promise<Snapshot> {
  const bytes = await copy.read(0, stamp.size);
  const sum = crc32c(bytes);
  return {
    source: { kind: "bytes", bytes, crc32c: sum },
    stamp,
    size: bytes.length,
    crc32c: sum,
    rested,
    dispose: nothingToDispose,
  };
}

async function inPlace(copy: Copy, stamp: Stamp): Promise<Snapshot> {
  const sum = await sumFile(copy, stamp.size);
  return {
    source: { kind: "file", descriptor: copy.descriptor, size: stamp.size, crc32c: sum },
    stamp,
    size: stamp.size,
    crc32c: sum,
    rested: true,
    dispose: nothingToDispose,
  };
}

/**
 * What lies behind `base`, of a file in which nothing before its end was changed. Later appends do no harm: they lie
 * behind what is read here. Undefined if something else was changed meanwhile.
 */
export async function takeTail(copy: Copy, base: ObjectInfo): Promise<Snapshot | undefined> {
  await copy.mark();
  const stamp = copy.observe();
  const bytes = stamp.size - base.size;
  if (bytes < 0) return undefined;
  const inMemory = bytes <= IN_MEMORY_MAX_BYTES ? await copy.read(base.size, bytes) : undefined;
  const sum = inMemory === undefined ? await sumFile(copy, stamp.size, base.size) : crc32c(inMemory);
  const source: UploadSource =
    inMemory === undefined
      ? { kind: "file", descriptor: copy.descriptor, start: base.size, size: bytes, crc32c: sum }
      : { kind: "bytes", bytes: inMemory, crc32c: sum };
  if (await copy.changedSinceMark(stamp.size)) return undefined;
  const whole = combineCrc32c(base.crc32c, sum, bytes);
  return { source, stamp, size: stamp.size, crc32c: whole, rested: false, dispose: nothingToDispose };
}

/** What a busy file holds now, copied aside (shared extents where the disk can). Never sealed: the stamp is from before. */
async function fromClone(copy: Copy, clonePath: string): Promise<Snapshot> {
  await copy.mark();
  const stamp = copy.observe();
  const clone = await openClone(copy, clonePath);
  const { size } = await clone.stat();
  let sum = 0;
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; position < size;) {
    const { bytesRead } = await clone.read(chunk, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) break;
    sum = crc32c(chunk.subarray(0, bytesRead), sum);
    position += bytesRead;
  }
  return {
    source: { kind: "file", descriptor: clone.fd, size, crc32c: sum },
    stamp,
    size,
    crc32c: sum,
    rested: false,
    dispose: () => clone.close(),
  };
}

/** A copy of the file that has no name, and so is gone when it is closed. */
async function openClone(copy: Copy, clonePath: string): Promise<fs.FileHandle> {
  try {
    await fs.copyFile(copy.path, clonePath, constants.COPYFILE_FICLONE);
    return await fs.open(clonePath, "r");
  } finally {
    await fs.rm(clonePath, { force: true });
  }
}

/** What was put aside as `id`; nobody writes to that. Takes the open file over. */
export async function takeAside(id: string, file: fs.FileHandle): Promise<Snapshot> {
  try {
    const { size, ctimeNs } = await file.stat({ bigint: true });
    const bytes = Number(size);
    const sum = await sumRange(file, 0, bytes);
    return {
      aside: id,
      source: { kind: "file", descriptor: file.fd, size: bytes, crc32c: sum },
      stamp: { size: bytes, changedNs: ctimeNs },
      size: bytes,
      crc32c: sum,
      rested: false,
      dispose: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Whether the file still holds what `snapshot` summed. An equal ctime is proof only for a snapshot that had
 * rested; a younger one is summed again once its tick is over.
 */
export async function stillEquals(copy: Copy, snapshot: Summed): Promise<boolean> {
  if (!sameStamp(copy.observe(), snapshot.stamp)) return false;
  if (snapshot.rested) return true;
  const wait = CTIME_REST_MS - ageMs(snapshot.stamp);
  if (wait > 0) await delay(wait);
  await copy.sync();
  if (!sameStamp(copy.observe(), snapshot.stamp)) return false;
  const sum = await sumFile(copy, snapshot.size);
  return sum === snapshot.crc32c && sameStamp(copy.observe(), snapshot.stamp);
}
