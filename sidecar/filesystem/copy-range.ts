// copy_file_range between open files of the mount: what is needed of the source is fetched, the rest is the disk's work.

import { copyRange } from "../copies/copy-range.ts";
import { noteChange } from "./attributes-of.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { FileData } from "./file-data.ts";
import type { OpenFile } from "./nodes.ts";

/** Of bytes that are still in the bucket at a time, so that each answer comes soon. */
const FETCH_AT_A_TIME_BYTES = 8 << 20;

export interface Position {
  readonly handle: OpenFile;
  readonly offset: number;
}

export class RangeCopier {
  readonly #context: Context;
  readonly #data: FileData;

  constructor(context: Context, data: FileData) {
    this.#context = context;
    this.#data = data;
  }

  /** Answers how many bytes were copied: at least one, unless the source ends before. */
  async copy(from: Position, to: Position, length: number): Promise<number> {
    const source = from.handle.node.copy;
    const destination = to.handle.node.copy;
    if (!to.handle.writable || source === undefined || destination === undefined)
      throw new FileSystemError("EBADF", "not open for this");
    const wanted = { start: from.offset, end: Math.min(from.offset + length, source.observe().size) };
    if (wanted.start >= wanted.end) return 0;
    if (!source.has(wanted)) wanted.end = Math.min(wanted.end, wanted.start + FETCH_AT_A_TIME_BYTES);
    await this.#data.have(from.handle, wanted);
    const range = { from: wanted.start, to: to.offset, length: wanted.end - wanted.start };
    await this.#context.store.requireRoom(destination, range.to, range.length);
    const copied = await copyRange(source, destination, range);
    noteChange(to.handle.node, this.#context.wallNs());
    return copied;
  }
}
