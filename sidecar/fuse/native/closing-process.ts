// Which process closes an empty file: libfuse does not tell.
//
// It matters for one thing: a shell opens the file of `>`, duplicates the descriptor and closes the first one before
// anything is written. The file system does not upload that empty version if it can see that the process has another
// descriptor of the file. So it is looked for among those that wait for an answer of a FUSE file system: while the
// close is not answered, it does.

import type { InodeId } from "../../filesystem/filesystem.ts";
import { findWaitingWriter } from "../../lib/process-files.ts";

/** Where the kernel waits for us, fs/fuse/dev.c; the second where the compiler has put the first into it. */
const WAITS_FOR_FUSE = /request_wait_answer|fuse_simple_request/;

export class ClosingProcess {
  readonly #device: () => string | undefined;

  /** `device`: the number of the mount, as mountinfo has it. */
  constructor(device: () => string | undefined) {
    this.#device = device;
  }

  /** A process that closes the file and still has it open for writing; 0 if none is found. */
  async of(inode: InodeId): Promise<number> {
    const device = this.#device();
    return device === undefined ? 0 : ((await findWaitingWriter(WAITS_FOR_FUSE, device, inode)) ?? 0);
  }
}
