// The operations that few programs use: special files, space on disk, and what else not every file system has. And what
// nobody but the bucket may say.

import type { ObjectChange } from "../bucket/notifications/change-message.ts";
import { FileSystemError } from "./errors.ts";
import type { ExtendedAttributes } from "./extended-attributes.ts";
import type * as seam from "./filesystem.ts";
import type { Caller, Entry, FileSystem, HandleId, InodeId } from "./filesystem.ts";
import { isDevice, kindOfMode, type OwnerAndMode } from "./metadata.ts";
import type { NewObject } from "./namespace.ts";
import type { Node } from "./nodes.ts";
import type { Parts } from "./parts.ts";

/** Something that is complete as it is made, and as what a program asked for it. */
export interface NewlyMade extends Omit<NewObject, keyof OwnerAndMode> {
  readonly mode: number;
  readonly umask: number;
}

type Rarer =
  | "makeNode"
  | "changeSpace"
  | "copyRange"
  | "seek"
  | "getExtendedAttribute"
  | "listExtendedAttributes"
  | "setExtendedAttribute"
  | "removeExtendedAttribute";

export abstract class RarerOperations implements Pick<FileSystem, Rarer> {
  protected abstract readonly parts: Parts;

  protected abstract nodeOf(inode: InodeId): Node;

  protected abstract makeObject(
    caller: Caller,
    parent: InodeId,
    name: string,
    made: NewlyMade,
  ): Promise<Entry>;

  /**
   * Begins to expect word of changes in the bucket; answers whom to give it to. What somebody else changed the next use of
   * its name asks the bucket about (RULES 32).
   */
  hearChanges(): (change: ObjectChange) => void {
    return this.parts.foreignChanges.begin();
  }

  async makeNode(
    caller: Caller,
    parent: InodeId,
    name: string,
    mode: number,
    umask: number,
    deviceNumber: number,
  ): Promise<Entry> {
    const kind = kindOfMode(mode) ?? "file";
    const device = isDevice(kind) ? { deviceNumber } : {};
    return this.makeObject(caller, parent, name, { kind, mode, umask, ...device });
  }

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

  async getExtendedAttribute(_caller: Caller, inode: InodeId, name: string): Promise<Buffer> {
    return this.#extended.get(this.nodeOf(inode), name);
  }

  async listExtendedAttributes(_caller: Caller, inode: InodeId): Promise<readonly string[]> {
    return this.#extended.list(this.nodeOf(inode));
  }

  async setExtendedAttribute(
    _caller: Caller,
    inode: InodeId,
    name: string,
    value: Buffer,
    mode: "any" | "create" | "replace",
  ): Promise<void> {
    await this.#extended.set(this.nodeOf(inode), name, value, mode);
  }

  async removeExtendedAttribute(_caller: Caller, inode: InodeId, name: string): Promise<void> {
    await this.#extended.remove(this.nodeOf(inode), name);
  }

  get #extended(): ExtendedAttributes {
    const { extended } = this.parts;
    // Said once, the kernel never asks again: not for the attributes that it looks for at each write, either.
    if (extended === undefined) throw new FileSystemError("ENOSYS", "there are no extended attributes");
    return extended;
  }
}
