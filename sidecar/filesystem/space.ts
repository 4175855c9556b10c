// The space of open files: fallocate. It is that of the file's local copy; the bucket only knows zeros.

import { changeSpace } from "../copies/space.ts";
import { noteChange } from "./attributes-of.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { SpaceChange } from "./filesystem.ts";
import type { OpenFile } from "./nodes.ts";

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
