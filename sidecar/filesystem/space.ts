// The space of open files: fallocate. It is that of the file's local copy; the bucket only knows zeros.

import { changeSpace } from "../copies/space.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { SpaceChange } from "./filesystem.ts";
import type { FileNode, OpenFile } from "./nodes.ts";

export class FileSpace {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  async change(handle: OpenFile, change: SpaceChange, offset: number, length: number): Promise<void> {
    const { node, writable } = handle;
    const { copy } = node;
    if (!writable || copy === undefined) throw new FileSystemError("EBADF", "not open for writing");
    await changeSpace(copy, change, { start: offset, end: offset + length });
    noteChange(node, this.#context.wallNs());
  }
}

/** We changed the bytes of an open file by ourselves, in whichever way the kernel gets at them. */
export function noteChange(node: FileNode, nowNs: bigint): void {
  Object.assign(node, { modifyTimeNs: nowNs, changeTimeNs: nowNs, timeGiven: false });
  if (node.copy !== undefined) node.seenModifiedNs = node.copy.observe().modifiedNs;
}
