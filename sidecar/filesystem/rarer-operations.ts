// The operations that few programs use: space on disk, and what else not every file system has.

import type * as seam from "./filesystem.ts";
import type { Caller, FileSystem, HandleId, InodeId } from "./filesystem.ts";
import type { Parts } from "./parts.ts";

type Rarer = "changeSpace" | "copyRange" | "seek";

export abstract class RarerOperations implements Pick<FileSystem, Rarer> {
  protected abstract readonly parts: Parts;

  async changeSpace(
    _caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    change: seam.SpaceChange,
    offset: number,
    length: number,
  ): Promise<void> {
    await this.parts.space.change(this.parts.openFiles.get(handle), change, offset, length);
  }

  async seek(
    _caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    target: "data" | "hole",
  ): Promise<number> {
    return this.parts.space.seek(this.parts.openFiles.get(handle), offset, target);
  }

  async copyRange(
    _caller: Caller,
    from: seam.FilePosition,
    to: seam.FilePosition,
    length: number,
  ): Promise<number> {
    const { openFiles, ranges } = this.parts;
    const opened = ({ handle, offset }: seam.FilePosition) => ({ handle: openFiles.get(handle), offset });
    return ranges.copy(opened(from), opened(to), length);
  }
}
