// The bytes of one version.
//
// Every request is pinned to the generation, so what comes after a break continues the same bytes. Compressed
// objects are asked for as they are stored: the service would otherwise unpack them, and size, ranges and checksum
// would no longer hold.

import type { Generation, ReadOptions } from "./bucket.ts";
import { crc32cOf } from "./crc32c.ts";
import { BucketError } from "./errors.ts";
import { encodeQuery } from "./names.ts";
import type { Reply } from "./reply.ts";
import type { Requests } from "./requests.ts";
import type { Call } from "./transport.ts";

export interface ReadableVersion {
  readonly name: string;
  readonly generation: Generation;
  readonly size: number;
  readonly crc32c: number;
}

export async function* read(
  requests: Requests,
  object: ReadableVersion,
  options: ReadOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const start = options.range?.start ?? 0;
  const end = Math.min(options.range?.end ?? object.size, object.size);
  const whole = start === 0 && end === object.size;
  const budget = requests.dataBudget();
  let position = start;
  let checksum = 0;
  let told: BucketError | undefined;
  while (position < end) {
    const call = callFor(requests, object, position, end, options.signal);
    try {
      const reply = await requests.openOnce(call, budget.tryMs());
      refuseOtherBytes(reply, object, position, end);
      for await (const chunk of reply.chunks()) {
        position += chunk.length;
        if (position > end)
          throw new BucketError("invalid", `${call.about}: more bytes came than were asked for`);
        if (whole) checksum = crc32cOf(chunk, checksum);
        budget.reached(position);
        told = undefined;
        yield chunk;
        budget.restart(); // the caller's own time
      }
      if (position < end) throw new BucketError("unavailable", `${call.about}: the answer ended early`);
    } catch (error) {
      if (!(error instanceof BucketError)) throw error;
      if (error.kind !== "deadline") told = error;
      // As in Requests.repeat: a last try that the deadline cut short says less than the one before it.
      await requests.waitToRepeat(call, budget, told ?? error);
    }
  }
  if (whole && checksum !== object.crc32c) {
    throw new BucketError(
      "checksum",
      `read of ${JSON.stringify(object.name)}: the bytes do not match their CRC32C`,
    );
  }
}

function callFor(
  requests: Requests,
  object: ReadableVersion,
  position: number,
  end: number,
  signal: AbortSignal | undefined,
): Call {
  const everything = position === 0 && end === object.size;
  return {
    operation: "read",
    about: `read of ${JSON.stringify(object.name)}`,
    method: "GET",
    path: requests.objectPath(object.name) + encodeQuery({ alt: "media", generation: object.generation }),
    headers: {
      "accept-encoding": "gzip",
      ...(everything ? {} : { range: `bytes=${position}-${end - 1}` }),
    },
    signal,
  };
}

// A server or proxy that ignores the range or the generation must not be taken at its word.
function refuseOtherBytes(reply: Reply, object: ReadableVersion, position: number, end: number): void {
  const generation = reply.header("x-goog-generation");
  const expected =
    position === 0 && end === object.size ? undefined : `bytes ${position}-${end - 1}/${object.size}`;
  const range = reply.status === 206 ? reply.header("content-range") : undefined;
  if (range === expected && (generation === undefined || generation === String(object.generation))) return;
  reply.discard();
  throw new BucketError(
    "invalid",
    `read of ${JSON.stringify(object.name)}: other bytes came than were asked for`,
  );
}
