// Open files by the number under which libfuse knows them. The addon carries 31 bits of it.

import { FileSystemError } from "../../filesystem/errors.ts";
import type { HandleId, InodeId } from "../../filesystem/filesystem.ts";

const LARGEST = 2 ** 31 - 1;

export interface NativeHandle {
  readonly inode: InodeId;
  readonly handle: HandleId;
  /** It was opened as an empty file, and nothing was done to it through this handle. */
  untouched: boolean;
  /** Somebody has closed it. libfuse makes files for mknod by create and release: those nobody closes. */
  flushed: boolean;
  /** To be called when it is closed. */
  readonly onClose: () => void;
}

export class Handles {
  readonly #open = new Map<number, NativeHandle>();
  #last = 0; // 0 itself would say that there is none

  add(opened: NativeHandle): number {
    do this.#last = this.#last === LARGEST ? 1 : this.#last + 1;
    while (this.#open.has(this.#last));
    this.#open.set(this.#last, opened);
    return this.#last;
  }

  get(number: number): NativeHandle {
    const opened = this.#open.get(number);
    if (opened === undefined) throw new FileSystemError("EBADF", `descriptor ${number} is not open`);
    return opened;
  }

  take(number: number): NativeHandle {
    const opened = this.get(number);
    this.#open.delete(number);
    return opened;
  }
}
