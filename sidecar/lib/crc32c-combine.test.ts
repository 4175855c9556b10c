// That checksums of pieces give the checksum of the whole.

import { randomBytes } from "node:crypto";
import test from "ava";
import { crc32c } from "@node-rs/crc32";
import fastCheck from "fast-check";
import { combineCrc32c } from "./crc32c-combine.ts";

test("two pieces of any length have the checksum of the whole", (t) => {
  fastCheck.assert(
    fastCheck.property(fastCheck.uint8Array(), fastCheck.uint8Array(), (one, other) => {
      const [first, second] = [Buffer.from(one), Buffer.from(other)];
      const whole = crc32c(Buffer.concat([first, second]));
      return combineCrc32c(crc32c(first), crc32c(second), second.length) === whole;
    }),
  );
  t.pass();
});

test("a long second piece counts by its real length", (t) => {
  const [first, second] = [randomBytes(1000), Buffer.alloc(80 << 20, "line\n")];
  const whole = crc32c(second, crc32c(first));
  t.is(combineCrc32c(crc32c(first), crc32c(second), second.length), whole);
});

test("pieces beyond 4 GiB are as good as many small ones", (t) => {
  const piece = 3 * 2 ** 30;
  const ofOneByte = crc32c(Buffer.alloc(1));
  const ofPiece = zeros(piece);
  t.is(combineCrc32c(ofPiece, ofPiece, piece), zeros(2 * piece));
  const alone = zeros(5 * 2 ** 30);
  t.is(combineCrc32c(ofPiece, combineCrc32c(ofPiece, alone, 5 * 2 ** 30), 8 * 2 ** 30), zeros(11 * 2 ** 30));

  function zeros(length: number): number {
    if (length === 1) return ofOneByte;
    const half = Math.floor(length / 2);
    const ofHalf = zeros(half);
    const doubled = combineCrc32c(ofHalf, ofHalf, half);
    return length % 2 === 0 ? doubled : combineCrc32c(doubled, ofOneByte, 1);
  }
});
