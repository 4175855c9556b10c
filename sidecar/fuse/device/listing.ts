// Folder entries packed into the answer to READDIR and READDIRPLUS.

import type { DirectoryEntry, InodeId } from "../../filesystem/filesystem.ts";
import { TYPE_BITS } from "../file-type.ts";
import { writeEntry } from "./encode.ts";
import { DIRENT_SIZE, ENTRY_OUT_SIZE, OUT_HEADER_SIZE } from "./protocol.ts";

/** Collects entries until the space the kernel has is used up. */
export class Listing {
  readonly #bytes: Buffer;
  readonly #withAttributes: boolean;
  readonly #lookedUp: InodeId[] = [];
  #end = OUT_HEADER_SIZE;
  #refused = false;

  /** `size` is what the kernel has room for; `withAttributes`: fuse_direntplus instead of fuse_dirent. */
  constructor(size: number, withAttributes: boolean) {
    this.#bytes = Buffer.alloc(OUT_HEADER_SIZE + size);
    this.#withAttributes = withAttributes;
  }

  /** False if the entry does not fit; then it was not taken and nothing may be counted for it. */
  accept(entry: DirectoryEntry): boolean {
    const name = Buffer.from(entry.name, "utf8");
    const prefix = this.#withAttributes ? ENTRY_OUT_SIZE : 0;
    const size = (prefix + DIRENT_SIZE + name.length + 7) & ~7; // FUSE_DIRENT_ALIGN
    if (this.#end + size > this.#bytes.length) {
      this.#refused = true;
      return false;
    }
    // Without attributes the node id in front stays 0: the kernel then takes the name only.
    if (this.#withAttributes && entry.entry !== undefined) {
      writeEntry(this.#bytes, entry.entry, this.#end);
      this.#lookedUp.push(entry.entry.attributes.inode);
    }
    this.#writeDirent(entry, name, this.#end + prefix);
    this.#end += size;
    return true;
  }

  // fuse_dirent: ino, off, namelen, type, name
  #writeDirent(entry: DirectoryEntry, name: Buffer, at: number): void {
    this.#bytes.writeBigUInt64LE(BigInt(entry.inode), at);
    this.#bytes.writeBigUInt64LE(BigInt(entry.nextOffset), at + 8);
    this.#bytes.writeUInt32LE(name.length, at + 16);
    this.#bytes.writeUInt32LE(TYPE_BITS[entry.kind] >> 12, at + 20);
    name.copy(this.#bytes, at + DIRENT_SIZE);
  }

  /** Not even one entry fits: answering nothing would mean that the folder ends here. */
  get tooSmall(): boolean {
    return this.#refused && this.#end === OUT_HEADER_SIZE;
  }

  /** Inodes for which the kernel will count a look-up. */
  get lookedUp(): readonly InodeId[] {
    return this.#lookedUp;
  }

  get answer(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }
}
