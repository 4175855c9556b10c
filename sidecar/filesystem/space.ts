// The space of open files: fallocate, and where the holes are. It is that of the file's local copy; the bucket only knows zeros.

import { findData, findHole } from "../copies/holes.ts";
import { changeSpace } from "../copies/space.ts";
import { noteChange } from "./attributes-of.ts";
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

  /** Where data or a hole starts at or after `offset`, lseek(2). ENXIO if there is none, or beyond the end. */
  async seek({ node }: OpenFile, offset: number, target: "data" | "hole"): Promise<number> {
    const { copy } = node;
    if (copy === undefined) throw new FileSystemError("EBADF", "the open file has no copy");
    const { size } = copy.observe();
    if (offset >= size) throw new FileSystemError("ENXIO", "beyond the end");
    if (mayBeChangedUnseen(node)) return target === "data" ? offset : size;
    const found = await (target === "data" ? findData(copy, offset) : findHole(copy, offset));
    if (found === undefined) throw new FileSystemError("ENXIO", `no ${target} follows`);
    return found;
  }
}

/**
 * Where the kernel keeps pages of the file, a mapping can change them before we hear of it, also where there was a hole;
 * a program that skips holes would not copy what is there.
 */
function mayBeChangedUnseen(node: FileNode): boolean {
  return node.access === "daemon" && node.pagesGiven && node.writers > 0;
}
