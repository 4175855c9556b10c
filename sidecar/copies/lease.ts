// A mapping outlives close (RULES 1): stores through it reach the copy's file without any message to us.
//
// The kernel refuses a read lease while anyone holds the file open or mapped for writing. So a lease that is
// granted, and given back at once, proves that nobody can change the file any more. We must hold no writable
// descriptor ourselves at that moment. Source: fcntl(2), F_SETLEASE.

import fs from "node:fs";
import { tryReadLease } from "../lib/system-calls.ts";
import type { Copy } from "./copy.ts";

/** Whether nobody can write to the copy's file any more. Closes our own descriptor. */
export function nobodyCanWrite(copy: Copy): boolean {
  copy.close();
  const descriptor = fs.openSync(copy.path, fs.constants.O_RDONLY);
  try {
    copy.mayBeMapped = !tryReadLease(descriptor);
    return !copy.mayBeMapped;
  } finally {
    fs.closeSync(descriptor);
  }
}
