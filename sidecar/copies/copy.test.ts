import fs from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { Extents } from "../lib/extents.ts";
import { MemoryBucket } from "./bucket.fixture.ts";
import { Copy } from "./copy.ts";
import { temporaryFolder } from "./folder.fixture.ts";
import { stillEquals, takeSnapshot, takeTail } from "./snapshot.ts";

const MB = 1 << 20;

async function partialCopy(t: ExecutionContext, size: number): Promise<Copy> {
  const version = new MemoryBucket().put("object", Buffer.alloc(size, 1));
  const file = path.join(await temporaryFolder(t), "copy");
  return new Copy("copy", file, { version, present: new Extents(), create: true });
}

test("a write during the upload of a file that programs wrote completely is not taken for uploaded", async (t) => {
  const copy = await partialCopy(t, 2 * MB);
  await copy.write(0, Buffer.alloc(2 * MB, 2));
  t.true(copy.whole, "nothing of the version is missing any more");
  const { stamp } = await takeSnapshot(copy, `${copy.path}.clone`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await copy.write(10, Buffer.from("later"));
  copy.settle({ ...new MemoryBucket().put("object", Buffer.alloc(2 * MB, 2)) }, stamp);
  t.true(copy.changed());
});

test("bytes arriving late never land on newer writes, and none beyond a truncation", async (t) => {
  const copy = await partialCopy(t, 100);
  await copy.write(10, Buffer.from("new"));
  await copy.truncate(50);
  await copy.fill(0, Buffer.alloc(100, 1));
  t.true(copy.whole);
  t.is(copy.observe().size, 50);
  const bytes = Buffer.alloc(50, 1);
  bytes.write("new", 10);
  t.deepEqual(await copy.read(0, 100), bytes);
});

test("what a later version has beyond the place where the file was cut meanwhile does not come back", async (t) => {
  const bucket = new MemoryBucket();
  const copy = await partialCopy(t, 100);
  await copy.write(100, Buffer.from("tail"));
  const tail = await takeTail(copy, bucket.put("object", Buffer.alloc(100, 1)));
  await copy.truncate(50);
  await copy.truncate(80);
  copy.settle(bucket.put("object", Buffer.alloc(104, 1)), tail?.stamp ?? copy.stamp);
  t.true(copy.changed());
  await copy.fill(0, Buffer.alloc(104, 1));
  t.deepEqual(await copy.read(0, 200), Buffer.concat([Buffer.alloc(50, 1), Buffer.alloc(30)]));
});

test("bytes that are fetched while an append is sent are no change", async (t) => {
  const bucket = new MemoryBucket();
  const copy = await partialCopy(t, 100);
  await copy.write(100, Buffer.from("tail"));
  const tail = await takeTail(copy, bucket.put("object", Buffer.alloc(100, 1)));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await copy.fill(0, Buffer.alloc(100, 1));
  t.true(copy.whole);
  copy.settle(bucket.put("object", Buffer.alloc(104, 1)), tail?.stamp ?? copy.stamp);
  t.false(copy.changed());
});

test("an end that changes or is cut off while it is read is no tail", async (t) => {
  const base = new MemoryBucket().put("object", Buffer.alloc(100, 1));
  const changes = [
    (copy: Copy) => copy.write(102, Buffer.from("?")),
    (copy: Copy) => copy.truncate(102),
    (copy: Copy) => copy.truncate(50),
  ];
  for (const change of changes) {
    const copy = await partialCopy(t, 100);
    await copy.write(100, Buffer.from("tail"));
    const taking = takeTail(copy, base);
    await change(copy);
    t.is(await taking, undefined);
  }
  const copy = await partialCopy(t, 100);
  await copy.write(100, Buffer.from("tail"));
  const taking = takeTail(copy, base);
  await copy.write(104, Buffer.from("more"));
  t.is((await taking)?.size, 104, "what comes behind it does no harm");
});

test("when the bytes that came were wrong, only what programs wrote is kept", async (t) => {
  const copy = await partialCopy(t, 100);
  await copy.write(10, Buffer.from("new"));
  await copy.fill(20, Buffer.alloc(30, 9));
  copy.discard();
  t.deepEqual(copy.missing({ start: 0, end: 100 }), [
    { start: 0, end: 10 },
    { start: 13, end: 100 },
  ]);
});

test("a file is not closed below a write that is under way, whose descriptor would soon mean another file", async (t) => {
  const copy = await partialCopy(t, 8 * MB);
  const filling = copy.fill(0, Buffer.alloc(8 * MB, 1));
  await Promise.resolve();
  copy.close();
  const others = Array.from({ length: 4 }, (_, i) => fs.openSync(`${copy.path}-${i}`, "w+"));
  await filling;
  copy.close();
  t.false(copy.isOpen);
  for (const descriptor of others) {
    t.is(fs.fstatSync(descriptor).size, 0);
    fs.closeSync(descriptor);
  }
  t.is(fs.statSync(copy.path).blocks * 512 >= 8 * MB, true, "all bytes reached their own file");
});

test("bytes for a copy that was given up are dropped, and do not open its file again", async (t) => {
  const copy = await partialCopy(t, 100);
  copy.close();
  copy.retired = true;
  fs.unlinkSync(copy.path);
  await t.notThrowsAsync(copy.fill(0, Buffer.alloc(100)));
  t.false(copy.isOpen);
});

test("a busy file is uploaded from a clone that leaves nothing behind, and never counts as at rest", async (t) => {
  const file = path.join(await temporaryFolder(t), "copy");
  const copy = new Copy("copy", file, { create: true });
  await copy.write(0, Buffer.alloc(9 * MB, 3));
  const snapshot = await takeSnapshot(copy, `${file}.clone`, true);
  t.is(snapshot.size, 9 * MB);
  t.false(snapshot.rested);
  await copy.write(5, Buffer.from("more"));
  t.false(await stillEquals(copy, snapshot));
  await snapshot.dispose();
  t.deepEqual(fs.readdirSync(path.dirname(file)), ["copy"]);
  t.deepEqual(
    await t
      .throwsAsync(takeSnapshot(copy, `${file}/not/a/folder`, true))
      .then((error) => error !== undefined),
    true,
  );
});
