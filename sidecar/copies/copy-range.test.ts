import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { Extents } from "../lib/extents.ts";
import { MemoryBucket } from "./bucket.fixture.ts";
import { copyRange } from "./copy-range.ts";
import { Copy } from "./copy.ts";
import { temporaryFolder } from "./folder.fixture.ts";

const SIZE = 1 << 20;

async function partialCopy(t: ExecutionContext): Promise<Copy> {
  const version = new MemoryBucket().put("object", Buffer.alloc(SIZE, 1));
  const file = path.join(await temporaryFolder(t), "copy");
  return new Copy("copy", file, { version, present: new Extents(), create: true });
}

async function wholeCopy(t: ExecutionContext, bytes: Buffer): Promise<Copy> {
  const copy = new Copy("whole", path.join(await temporaryFolder(t), "whole"), { create: true });
  await copy.write(0, bytes);
  return copy;
}

test("what was copied into a partial copy is present, and bytes of its version do not replace it", async (t) => {
  const source = await wholeCopy(t, Buffer.from("0123456789"));
  const copy = await partialCopy(t);
  t.is(await copyRange(source, copy, { from: 2, to: 5000, length: 6 }), 6);
  t.true(copy.dirty);
  t.deepEqual(copy.missing({ start: 0, end: 6000 }), [
    { start: 0, end: 5000 },
    { start: 5006, end: 6000 },
  ]);
  await copy.fill(0, Buffer.alloc(SIZE, 1));
  const expected = Buffer.alloc(SIZE, 1);
  expected.write("234567", 5000);
  t.true((await copy.read(0, SIZE)).equals(expected));
});

test("the end of the source ends the copying, and the destination grows", async (t) => {
  const source = await wholeCopy(t, Buffer.from("0123456789"));
  const destination = await wholeCopy(t, Buffer.from("abc"));
  t.is(await copyRange(source, destination, { from: 7, to: 3, length: 2 ** 40 }), 3);
  t.is(await copyRange(source, destination, { from: 10, to: 6, length: 5 }), 0);
  t.is((await destination.read(0, 100)).toString(), "abc789");
});

test("a copy is copied within itself", async (t) => {
  const copy = await wholeCopy(t, Buffer.from("0123456789"));
  t.is(await copyRange(copy, copy, { from: 0, to: 8, length: 4 }), 4);
  t.is((await copy.read(0, 100)).toString(), "012345670123");
});
