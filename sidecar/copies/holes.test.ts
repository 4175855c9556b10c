import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { Extents } from "../lib/extents.ts";
import { MemoryBucket } from "./bucket.fixture.ts";
import { Copy } from "./copy.ts";
import { temporaryFolder } from "./folder.fixture.ts";
import { findData, findHole } from "./holes.ts";
import { changeSpace } from "./space.ts";

const KB64 = 64 << 10;
const SIZE = 16 * KB64;

async function partialCopy(t: ExecutionContext): Promise<Copy> {
  const version = new MemoryBucket().put("object", Buffer.alloc(SIZE, 1));
  const file = path.join(await temporaryFolder(t), "copy");
  return new Copy("copy", file, { version, present: new Extents(), create: true });
}

test("what is not here yet is data, though the local file has a hole there", async (t) => {
  const copy = await partialCopy(t);
  t.is(await findData(copy, 5), 5);
  t.is(await findHole(copy, 5), SIZE);
  await copy.fill(KB64, Buffer.alloc(KB64, 1));
  t.is(await findHole(copy, 0), SIZE);
});

test("a hole that was punched is one, between what is here and what is not", async (t) => {
  const copy = await partialCopy(t);
  await copy.fill(0, Buffer.alloc(KB64, 1));
  await changeSpace(copy, { kind: "hole", keepSize: true }, { start: 4 * KB64, end: 6 * KB64 });
  t.is(await findHole(copy, 0), 4 * KB64);
  t.is(await findHole(copy, 5 * KB64), 5 * KB64);
  t.is(await findData(copy, 4 * KB64), 6 * KB64);
  t.is(await findHole(copy, 6 * KB64), SIZE);
});

test("of a whole copy the file's own holes are shown, and none of it beyond the end", async (t) => {
  const copy = new Copy("whole", path.join(await temporaryFolder(t), "whole"), { create: true });
  await copy.write(2 * KB64, Buffer.alloc(KB64, 1));
  await copy.truncate(5 * KB64);
  t.is(await findData(copy, 0), 2 * KB64);
  t.is(await findHole(copy, 2 * KB64), 3 * KB64);
  t.is(await findData(copy, 3 * KB64), undefined);
  t.is(await findHole(copy, 5 * KB64), undefined);
});

test("a version that was cut is data up to where it was cut only", async (t) => {
  const copy = await partialCopy(t);
  await copy.truncate(3 * KB64);
  await copy.truncate(SIZE);
  t.is(await findHole(copy, 0), 3 * KB64);
  t.is(await findData(copy, 3 * KB64), undefined);
});
