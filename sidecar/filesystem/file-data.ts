// Reading and writing files the kernel asks us about (daemon mode).

import { setTimeout as delay } from "node:timers/promises";
import type { ByteRange } from "../lib/extents.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Caller } from "./filesystem.ts";
import type { FileNode, OpenFile } from "./nodes.ts";
import { haveRange, readCopy, type CopyReading } from "./read-copy.ts";
import type { Resting } from "./resting.ts";
import { spill } from "./spill.ts";
import { orRenamed } from "./stale.ts";

/** Copies come to rest, and can be given up, a moment after their last close, of which the kernel tells a little late. */
const ROOM_PATIENCE_MS = 5000;
const CLOSED_LATE_MS = 300;
const ROOM_LOOK_MS = 50;

/** What a program wrote, and where. */
interface Written {
  readonly offset: number;
  readonly data: Buffer;
  readonly fromMapping: boolean;
}

export class FileData {
  readonly #context: Context;
  readonly #resting: Pick<Resting, "settling">;

  constructor(context: Context, resting: Pick<Resting, "settling">) {
    this.#context = context;
    this.#resting = resting;
  }

  /** Bytes of the open version. */
  async read(handle: OpenFile, offset: number, length: number): Promise<Buffer> {
    handle.node.pagesGiven = true;
    return readCopy(this.#reading(handle), offset, length);
  }

  /** Resolves when the local copy has these bytes of the open version. */
  async have(handle: OpenFile, range: ByteRange): Promise<void> {
    await haveRange(this.#reading(handle), range);
  }

  /** Of a file that is written in one pass what is written so far may go to make room; so may what was just closed, soon. */
  async #hasRoom(node: FileNode, bytes: number): Promise<boolean> {
    const { space } = this.#context.store;
    if (await space.allows(bytes)) return true;
    if (await spill(node, bytes, this.#context)) return true;
    for (let waitedMs = 0; waitedMs < ROOM_PATIENCE_MS; waitedMs += ROOM_LOOK_MS) {
      if (waitedMs >= CLOSED_LATE_MS && !this.#resting.settling) return false;
      await delay(ROOM_LOOK_MS);
      if (await space.allows(bytes)) return true;
    }
    return false;
  }

  #reading({ node, position }: OpenFile): CopyReading {
    const { copy, fetcher } = node;
    if (copy === undefined) throw new FileSystemError("EIO", "the open file has no copy");
    return {
      copy,
      fetcher,
      position: () => position,
      bring: (range) => this.bring(node, range),
      hasRoom: (bytes) => this.#context.store.space.allows(bytes),
      pass: (range) => this.pass(node, range),
    };
  }

  /** As `bring`, for bytes that are not to be kept. */
  async pass(node: FileNode, range: ByteRange): Promise<Buffer> {
    const { fetcher } = node;
    if (fetcher === undefined)
      throw new FileSystemError("EIO", "the bytes are not here, and nobody can bring them");
    return orRenamed(node, () => fetcher.passing(range));
  }

  /** ESTALE if the version is gone; one that only has another name is found there. */
  async bring(node: FileNode, range: ByteRange): Promise<void> {
    const { fetcher } = node;
    await orRenamed(node, () => fetcher?.need(range));
  }

  /**
   * Of a handle that appends only what a mapping changed is written where it says: the kernel takes any handle for that. A
   * write to the end that is run again goes where it went before.
   */
  async write(caller: Caller, handle: OpenFile, { offset, data, fromMapping }: Written): Promise<number> {
    const { node, writable, append } = handle;
    const { copy } = node;
    if (!writable || copy === undefined) throw new FileSystemError("EBADF", "not open for writing");
    const size = copy.observe().size;
    const appended = append && !fromMapping;
    const start = appended ? (caller.begun?.position ?? size) : offset;
    if (!(await this.#hasRoom(node, data.length)))
      await this.#context.store.requireRoom(copy, start, data.length);
    if (appended) caller.intend?.({ position: start });
    if (start > size && !copy.whole) await copy.truncate(start);
    await copy.write(start, data, appended);
    const now = this.#context.wallNs();
    Object.assign(node, { modifyTimeNs: now, changeTimeNs: now, timeGiven: false });
    this.#context.journal.note(node);
    return data.length;
  }
}
