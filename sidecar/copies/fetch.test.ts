import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { isBucketError } from "../bucket/errors.ts";
import { Extents } from "../lib/extents.ts";
import { MemoryBucket } from "./bucket.fixture.ts";
import { Copy } from "./copy.ts";
import { Fetcher } from "./fetch.ts";
import { temporaryFolder } from "./folder.fixture.ts";

const KB = 1 << 10;
const MB = 1 << 20;

async function fetching(t: ExecutionContext, bytes: Buffer) {
  const memory = new MemoryBucket();
  const version = memory.put("object", bytes);
  const file = path.join(await temporaryFolder(t), "copy");
  const copy = new Copy("copy", file, { version, present: new Extents(), create: true });
  t.teardown(() => copy.close());
  return { memory, version, copy, fetcher: new Fetcher(memory.bucket, copy) };
}

test("RULES 13: everything comes by one GET of the whole object, pinned to its generation", async (t) => {
  const bytes = Buffer.alloc(3 * MB, "abc");
  const { memory, version, copy, fetcher } = await fetching(t, bytes);
  await Promise.all([fetcher.whole(), fetcher.need({ start: 2 * MB, end: 2 * MB + 10 }), fetcher.whole()]);
  t.deepEqual(memory.reads, [{ name: "object", generation: version.generation, range: undefined }]);
  t.true(copy.whole);
  t.deepEqual(await copy.read(0, bytes.length), bytes);
  t.false(copy.changed(), "what was fetched is no change");
  t.false(fetcher.busy);
});

test("RULES 13: a read is answered as soon as its own bytes are here, not when all are", async (t) => {
  const { memory, fetcher } = await fetching(t, Buffer.alloc(2 * MB, 1));
  const held = Promise.withResolvers<void>();
  memory.beforeChunk = (position) => (position >= MB ? held.promise : Promise.resolve());
  const whole = fetcher.whole();
  await fetcher.need({ start: 0, end: 512 * KB });
  t.true(fetcher.busy);
  held.resolve();
  await whole;
});

test("RULES 13: of a replaced object, what is present stays readable and the rest is gone", async (t) => {
  const { memory, copy, fetcher } = await fetching(t, Buffer.alloc(2 * MB, 1));
  await fetcher.need({ start: 0, end: 256 * KB });
  memory.put("object", Buffer.alloc(2 * MB, 2));
  await fetcher.need({ start: 1000, end: 2000 });
  t.deepEqual(await copy.read(0, 256 * KB), Buffer.alloc(256 * KB, 1));
  const error = await t.throwsAsync(fetcher.need({ start: MB, end: MB + 10 }));
  t.true(isBucketError(error, "not-found"));
  t.false(copy.has({ start: MB, end: MB + 1 }), "nothing of the newer version was mixed in");
});

test("a download goes on under the new name of an object that was renamed meanwhile", async (t) => {
  const { memory, version, copy, fetcher } = await fetching(t, Buffer.alloc(2 * MB, 5));
  await fetcher.need({ start: 0, end: 256 * KB });
  memory.put("object", Buffer.alloc(0));
  const moved = memory.put("elsewhere", Buffer.alloc(2 * MB, 5));
  copy.version = moved;
  await fetcher.whole();
  t.not(moved.generation, version.generation);
  t.deepEqual(await copy.read(0, 2 * MB), Buffer.alloc(2 * MB, 5));
});

test("bytes whose checksum is wrong fail those who wait for them and are fetched again", async (t) => {
  const { memory, copy, fetcher } = await fetching(t, Buffer.alloc(MB, 1));
  memory.damaged = true;
  t.true(isBucketError(await t.throwsAsync(fetcher.whole()), "checksum"));
  t.false(copy.has({ start: 0, end: 1 }));
  memory.damaged = false;
  await fetcher.whole();
  t.true(copy.whole);
});

test("bytes whose checksum is wrong do not become part of a file that is being edited", async (t) => {
  const { memory, copy, fetcher } = await fetching(t, Buffer.alloc(MB, 1));
  memory.damaged = true;
  memory.beforeChunk = async (position) => {
    if (position === 0) await copy.write(MB - 10, Buffer.from("edited"));
  };
  t.true(isBucketError(await t.throwsAsync(fetcher.whole()), "checksum"));
  t.false(copy.whole);
  t.true(copy.has({ start: MB - 10, end: MB - 4 }));
  memory.damaged = false;
  memory.beforeChunk = () => Promise.resolve();
  await fetcher.whole();
  const wanted = Buffer.alloc(MB, 1);
  wanted.write("edited", MB - 10);
  t.deepEqual(await copy.read(0, MB), wanted);
});

test("giving up fails those who wait and leaves nothing under way", async (t) => {
  const { memory, fetcher } = await fetching(t, Buffer.alloc(MB, 1));
  const held = Promise.withResolvers<void>();
  memory.beforeChunk = () => held.promise;
  const waiting = fetcher.need({ start: 0, end: 10 });
  fetcher.stop();
  held.resolve();
  t.true(isBucketError(await t.throwsAsync(waiting), "aborted"));
  t.false(fetcher.busy);
});

test("RULES 12: bytes for which there is no room come in pieces and are not kept; what was cut off is zeros", async (t) => {
  const bytes = Buffer.alloc(20 * MB, "0123456789");
  const { memory, copy, fetcher } = await fetching(t, bytes);
  for (let start = 0; start < 12 * MB; start += MB)
    t.true((await fetcher.passing({ start, end: start + MB })).equals(bytes.subarray(start, start + MB)));
  t.is(memory.reads.length, 2);
  t.false(copy.has({ start: 0, end: 1 }));
  await copy.truncate(MB + 10);
  fetcher.letGo();
  const read = await fetcher.passing({ start: MB, end: MB + 20 });
  t.is(read.toString("latin1"), bytes.subarray(MB, MB + 10).toString("latin1") + "\0".repeat(10));
});
