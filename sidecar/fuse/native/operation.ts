// What serving an operation means here.

import type { Attributes } from "../../filesystem/filesystem.ts";
import { encodeStat } from "./encode.ts";
import type { ThreadRecord } from "./record.ts";

/** An answer that is no error. */
export interface Answer {
  /** 0, or a count of bytes. */
  readonly number: number;
  /** What the addon takes besides. Asked for right before it takes it. */
  readonly values: () => readonly unknown[];
}

/** Carries an operation out. `given` is what fuse-native.c hands over, in its order. */
export type Operation = (thread: ThreadRecord, ...given: never[]) => Promise<Answer>;

export function done(...values: unknown[]): Answer {
  return { number: 0, values: () => values };
}

export function stat(attributes: Attributes): Answer {
  return { number: 0, values: () => [encodeStat(attributes)] };
}

/**
 * `count` bytes went through `bytes`, or none, for an error. These are libfuse's own memory: the addon takes it from
 * the buffer again, and ends the process if it does not get it.
 */
export function transferred(count: number, bytes: Buffer): Answer {
  return { number: count, values: () => [0, bytes.buffer] };
}

/** As `transferred`, for the buffers of extended attributes. */
export function handedBack(count: number, bytes: Buffer): Answer {
  return { number: count, values: () => [bytes.buffer] };
}

/** The addon hands over wide numbers as two of 32 bits. */
export function wide(low: number, high: number): number {
  return low + high * 2 ** 32;
}
