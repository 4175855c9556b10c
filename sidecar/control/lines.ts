// Lines out of a stream, none of them longer than what is agreed.

import type { Socket } from "node:net";
import { ControlError } from "./protocol.ts";

/** Each line without its end. Throws ControlError for one that is too long; nothing is read ahead while one is used. */
export async function* linesOf(socket: Socket, maxBytes: number): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  // The socket stays open: who sent too long a line is to be told.
  const chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      if (end > maxBytes) throw new ControlError(`a line is longer than ${maxBytes} bytes`);
      const line = rest.subarray(0, end).toString("utf8");
      rest = rest.subarray(end + 1);
      yield line;
    }
    if (rest.length > maxBytes) throw new ControlError(`a line is longer than ${maxBytes} bytes`);
  }
}
