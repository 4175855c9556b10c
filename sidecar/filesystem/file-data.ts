// Reading and writing files the kernel asks us about (daemon mode).

import { isBucketError } from "../bucket/errors.ts";
import type { ByteRange } from "../lib/extents.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import { movesEnded, type FileNode, type OpenFile } from "./nodes.ts";
import { haveRange, readCopy, type CopyReading } from "./read-copy.ts";

export class FileData {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
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

  #reading({ node, position }: OpenFile): CopyReading {
    const { copy, fetcher } = node;
    if (copy === undefined) throw new FileSystemError("EIO", "the open file has no copy");
    return { copy, fetcher, position: () => position, bring: (range) => this.bring(node, range) };
  }

  /** A version that is gone may only have another name: a rename of ours that is under way will tell. */
  async bring(node: FileNode, range: ByteRange): Promise<void> {
    const { copy, fetcher } = node;
    for (;;) {
      const asked = copy?.version?.generation;
      try {
        return await fetcher?.need(range);
      } catch (error) {
        if (!isBucketError(error, "not-found")) throw error;
        await movesEnded(node);
        await node.changes.run(() => Promise.resolve());
        if (copy?.version?.generation === asked)
          throw new FileSystemError("ESTALE", "the open version is gone from the bucket", error);
      }
    }
  }

  /** Of a handle that appends only what a mapping changed is written where it says: the kernel takes any handle for that. */
  async write(handle: OpenFile, offset: number, data: Buffer, fromMapping: boolean): Promise<number> {
    const { node, writable, append } = handle;
    const { copy } = node;
    if (!writable || copy === undefined) throw new FileSystemError("EBADF", "not open for writing");
    const size = copy.observe().size;
    const appended = append && !fromMapping;
    const start = appended ? size : offset;
    if (start > size && !copy.whole) await copy.truncate(start);
    await copy.write(start, data, appended);
    const now = this.#context.wallNs();
    Object.assign(node, { modifyTimeNs: now, changeTimeNs: now, timeGiven: false });
    return data.length;
  }
}
