import { constants } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { BucketError } from "../bucket/errors.ts";
import { ROOT_INODE } from "./filesystem.ts";
import { CALLER, inProcess } from "./in-process.fixture.ts";

/** A file that one program reads, and another stores to through a mapping after its close. Then the mapping ends. */
async function storedLate(t: ExecutionContext) {
  const { names, state, serve } = await inProcess(t);
  const fileSystem = serve();
  const { entry, opened } = await fileSystem.create(CALLER, ROOT_INODE, "f", 0o644, 0, constants.O_RDWR);
  const { inode } = entry.attributes;
  await fileSystem.write(CALLER, inode, opened.handle, 0, Buffer.from("one"));
  await fileSystem.flush(CALLER, inode, opened.handle);
  const reader = await fileSystem.open(CALLER, inode, constants.O_RDONLY);
  await fileSystem.write(CALLER, inode, opened.handle, 0, Buffer.from("two more"), true);
  const mappingEnds = () => fileSystem.release(inode, opened.handle);
  return { names, state, fileSystem, inode, reader, mappingEnds };
}

test("a stop waits until what was stored after the close is in the bucket, while others read the file", async (t) => {
  const { names, fileSystem, mappingEnds } = await storedLate(t);
  names.beforeInsert = () => delay(300);
  await mappingEnds();
  t.is(names.objects.get("f")?.size, 3);
  t.is(await fileSystem.drain(10_000), 0);
  t.is(names.objects.get("f")?.size, 8);
});

test("what could not be uploaded is tried again, and kept when the last reader has gone", async (t) => {
  const { names, state, fileSystem, inode, reader, mappingEnds } = await storedLate(t);
  let tries = 0;
  names.beforeInsert = () => {
    tries += 1;
    return Promise.reject(new BucketError("unavailable", "no answer"));
  };
  await mappingEnds();
  for (const endMs = Date.now() + 10_000; tries < 2 && Date.now() < endMs;) await delay(50);
  t.is(tries, 2);
  await fileSystem.release(inode, reader.handle);
  const [kept] = await state.database.read("SELECT object, state, error FROM copies");
  t.like(kept, { object: "f", state: "failed", error: "no answer" });
});

test("RULES 10: what a close could not store is not tried again, although others read the file", async (t) => {
  const { names, fileSystem, inode, mappingEnds } = await storedLate(t);
  let tries = 0;
  names.beforeInsert = () => {
    tries += 1;
    return Promise.reject(new BucketError("unavailable", "no answer"));
  };
  const { handle } = await fileSystem.open(CALLER, inode, constants.O_WRONLY);
  await fileSystem.write(CALLER, inode, handle, 0, Buffer.from("refused"));
  await t.throwsAsync(fileSystem.flush(CALLER, inode, handle));
  await fileSystem.release(inode, handle);
  await mappingEnds();
  await delay(1500);
  t.is(tries, 1);
});
