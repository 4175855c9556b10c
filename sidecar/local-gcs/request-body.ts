// A request's body as its pieces come off the socket, at the reader's pace.
//
// Node's own iterator joins what has gathered before it hands it out; for large uploads those copies are most of
// the memory and time the server spends. A reader that stops early leaves the connection open.

import type { IncomingMessage } from "node:http";

// Beyond this the socket is paused until the reader has caught up.
const gatheredPieces = 4;

/** The pieces of a body. Ends without an error only if the body was complete. */
export async function* piecesOfBody(request: IncomingMessage): AsyncGenerator<Buffer> {
  const pieces: Buffer[] = [];
  let wake = () => {};
  const taken = (piece: Buffer) => {
    pieces.push(piece);
    if (pieces.length >= gatheredPieces) request.pause();
    wake();
  };
  const changed = () => wake();
  const events = ["end", "error", "close"] as const;
  request.on("data", taken);
  for (const event of events) request.on(event, changed);
  try {
    for (;;) {
      for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) yield piece;
      if (request.readableEnded && request.complete) return;
      if (request.readableEnded || request.destroyed)
        throw request.errored ?? new Error("The body was cut off.");
      request.resume();
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    request.off("data", taken);
    for (const event of events) request.off(event, changed);
  }
}
