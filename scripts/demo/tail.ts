// Follows log files while they are written.

import { openSync, readSync, closeSync, statSync } from "node:fs";

const intervalMs = 250;

/** Calls `onLine` for each whole line appended from now on. Answers with what ends it. */
export function followFile(path: string, onLine: (line: string) => void): () => void {
  let position = sizeOf(path);
  let rest = Buffer.alloc(0);
  const look = () => {
    const size = sizeOf(path);
    if (size <= position) return;
    const piece = Buffer.alloc(size - position);
    const descriptor = openSync(path, "r");
    position += readSync(descriptor, piece, 0, piece.length, position);
    closeSync(descriptor);
    const text = Buffer.concat([rest, piece]);
    const end = text.lastIndexOf(0x0a) + 1;
    rest = text.subarray(end);
    for (const line of text.toString("utf8", 0, end).split("\n").slice(0, -1)) onLine(line);
  };
  const timer = setInterval(look, intervalMs);
  return () => {
    clearInterval(timer);
    look();
  };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
