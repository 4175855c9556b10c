import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { Extents } from "../lib/extents.ts";
import { seekData } from "../lib/system-calls.ts";
import { MemoryBucket } from "./bucket.fixture.ts";
import { Copy } from "./copy.ts";
import { temporaryFolder } from "./folder.fixture.ts";
import { changeSpace } from "./space.ts";

const SIZE = 1 << 20;

async function partialCopy(t: ExecutionContext): Promise<Copy> {
  const version = new MemoryBucket().put("object", Buffer.alloc(SIZE, 1));
  const file = path.join(await temporaryFolder(t), "copy");
  return new Copy("copy", file, { version, present: new Extents(), create: true });
}

test("bytes of the version that arrive late do not fill a hole that was punched before", async (t) => {
  const copy = await partialCopy(t);
  await changeSpace(copy, { kind: "hole", keepSize: true }, { start: 4096, end: 12_288 });
  t.true(copy.dirty);
  t.false(copy.whole);
  await copy.fill(0, Buffer.alloc(SIZE, 1));
  const expected = Buffer.alloc(SIZE, 1).fill(0, 4096, 12_288);
  t.true((await copy.read(0, SIZE)).equals(expected));
  t.true(copy.whole);
});

test("space that is reserved for absent bytes does not make them present", async (t) => {
  const copy = await partialCopy(t);
  await changeSpace(copy, { kind: "reserve", keepSize: false }, { start: 0, end: SIZE + 4096 });
  t.is(copy.observe().size, SIZE + 4096);
  t.deepEqual(copy.missing({ start: 0, end: SIZE + 4096 }), [{ start: 0, end: SIZE }]);
});

test("when the bytes that came were wrong, zeros that programs asked for stay", async (t) => {
  const copy = await partialCopy(t);
  const verified = copy.expectChecksum();
  await changeSpace(copy, { kind: "zero", keepSize: false }, { start: 0, end: SIZE / 2 });
  await copy.fill(0, Buffer.alloc(SIZE, 1));
  copy.discard();
  verified();
  t.deepEqual(copy.missing({ start: 0, end: SIZE }), [{ start: SIZE / 2, end: SIZE }]);
});

test("a reservation that cannot fit takes nothing", async (t) => {
  const copy = await partialCopy(t);
  const range = { start: 0, end: 2 ** 60 };
  await t.throwsAsync(changeSpace(copy, { kind: "reserve", keepSize: true }, range), { code: "ENOSPC" });
  t.is(copy.observe().allocatedBytes, 0);
  await changeSpace(copy, { kind: "hole", keepSize: true }, { start: 0, end: 2 ** 40 });
  t.is(await seekData(copy.descriptor, 0), undefined);
});
