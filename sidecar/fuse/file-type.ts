// The kinds of files as the kernel numbers them.

import type { FileKind } from "../filesystem/filesystem.ts";

/** File type bits of st_mode, stat(2). `DT_` numbers of a directory entry are these shifted right by 12. */
export const TYPE_BITS = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  "character-device": 0o020000,
  "block-device": 0o060000,
} as const satisfies Record<FileKind, number>;
