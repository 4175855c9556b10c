// The listing of a folder with very many names: on disk as far as it has been read, in memory one page of it.
//
// Positions are places in the file, so they stay right while entries come and go, and a program may go back to any of
// them. A record is: length of the name (2 bytes), kind (1), inode number (6), name.

import type { FileHandle } from "node:fs/promises";
import type { FileKind, InodeId } from "./filesystem.ts";

const HEADER_BYTES = 9;
const NAME_BYTES = 255;
const CHUNK_BYTES = 64 << 10;
/** Each has the number of its place, in records. */
export const KINDS: readonly FileKind[] = [
  "file",
  "directory",
  "symlink",
  "fifo",
  "socket",
  "character-device",
  "block-device",
];

export interface SpooledEntry {
  readonly name: string;
  readonly inode: InodeId;
  readonly kind: FileKind;
}

export class ListingSpool {
  readonly #file: FileHandle;
  readonly #more: () => Promise<readonly SpooledEntry[] | undefined>;
  #end = 0;
  #complete = false;
  #filling: Promise<boolean> | undefined;
  /** Entries that are not in the file yet, because the disk had no room for them. */
  #unwritten: Buffer | undefined;

  /** `more` answers the next entries each time, and undefined at the end. The file is closed with the spool. */
  constructor(file: FileHandle, more: () => Promise<readonly SpooledEntry[] | undefined>) {
    this.#file = file;
    this.#more = more;
  }

  /** Offers entries from `position` on, each with the position behind it, until `accept` answers false. */
  async read(position: number, accept: (entry: SpooledEntry, next: number) => boolean): Promise<void> {
    for (let at = position; ;) {
      while (at >= this.#end) if (!(await this.#fill())) return;
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, this.#end - at));
      const { bytesRead } = await this.#file.read(chunk, 0, chunk.length, at);
      let used = 0;
      for (let record = decode(chunk, used, bytesRead); record !== undefined;) {
        if (!accept(record.entry, at + used + record.length)) return;
        used += record.length;
        record = decode(chunk, used, bytesRead);
      }
      if (used === 0) return; // a position that is none of ours
      at += used;
    }
  }

  async close(): Promise<void> {
    await this.#filling?.catch(() => undefined);
    await this.#file.close();
  }

  /** Two readers of one handle fill it once. False at the end. */
  #fill(): Promise<boolean> {
    this.#filling ??= this.#append().finally(() => (this.#filling = undefined));
    return this.#filling;
  }

  async #append(): Promise<boolean> {
    this.#unwritten ??= await this.#encodeMore();
    if (this.#unwritten === undefined) return false;
    await this.#write(this.#unwritten);
    this.#end += this.#unwritten.length;
    this.#unwritten = undefined;
    return true;
  }

  async #encodeMore(): Promise<Buffer | undefined> {
    const entries = this.#complete ? undefined : await this.#more();
    this.#complete = entries === undefined;
    return entries === undefined ? undefined : Buffer.concat(entries.map(encode));
  }

  /** A disk that is nearly full takes a part without an error. */
  async #write(bytes: Buffer): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      const rest = bytes.length - written;
      written += (await this.#file.write(bytes, written, rest, this.#end + written)).bytesWritten;
    }
  }
}

function encode({ name, inode, kind }: SpooledEntry): Buffer {
  const text = Buffer.from(name, "utf8");
  const record = Buffer.allocUnsafe(HEADER_BYTES + text.length);
  record.writeUInt16LE(text.length, 0);
  record.writeUInt8(KINDS.indexOf(kind), 2);
  record.writeUIntLE(inode, 3, 6);
  text.copy(record, HEADER_BYTES);
  return record;
}

/** The record at `at`, unless it goes beyond `end`. */
function decode(bytes: Buffer, at: number, end: number): { entry: SpooledEntry; length: number } | undefined {
  if (at + HEADER_BYTES > end) return undefined;
  const nameLength = bytes.readUInt16LE(at);
  const length = HEADER_BYTES + nameLength;
  if (nameLength > NAME_BYTES || at + length > end) return undefined;
  const entry = {
    name: bytes.toString("utf8", at + HEADER_BYTES, at + length),
    inode: bytes.readUIntLE(at + 3, 6) as InodeId,
    kind: KINDS[bytes.readUInt8(at + 2)] ?? "file",
  };
  return { entry, length };
}
