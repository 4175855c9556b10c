// What happens around a close, with the filesystem in this process and a disk that is slow.

import { constants } from "node:fs";
import test from "ava";
import { BucketError } from "../bucket/errors.ts";
import { ROOT_INODE } from "./filesystem.ts";
import { CALLER, inProcess, write } from "./in-process.fixture.ts";

const MB = 1 << 20;

test("RULES 16: look-ups do not wait for a disk whose every commit takes 10 ms, during sixteen closes at once", async (t) => {
  const fileSystem = (await inProcess(t, 10)).serve();
  await write(fileSystem, "known", Buffer.from("x"));
  const tookMs: number[] = [];
  let closing = true;
  const looking = (async () => {
    while (closing) {
      const started = performance.now();
      await fileSystem.lookup(CALLER, ROOT_INODE, "known");
      tookMs.push(performance.now() - started);
      await new Promise(setImmediate);
    }
  })();
  for (let round = 0; tookMs.length < 500; round += 1)
    await Promise.all(
      Array.from({ length: 16 }, (_, i) => write(fileSystem, `f${round}-${i}`, Buffer.alloc(1000))),
    );
  closing = false;
  await looking;
  const p99 = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? 0;
  t.true(p99 < 5, `p99 ${p99.toFixed(1)} ms`);
});

test("RULES 20: the address of an upload is on disk while it is under way, and gone after it", async (t) => {
  const { names, state, serve } = await inProcess(t);
  const seen: unknown[] = [];
  const rows = () => state.database.read("SELECT object, session_url FROM uploads");
  names.beforeInsert = async (_, options) => {
    await options.onSession?.({ url: "http://bucket/upload/1" });
    seen.push(...(await rows()).map((row) => ({ ...row })));
  };
  await write(serve(), "large", Buffer.alloc(9 * MB));
  t.deepEqual(seen, [{ object: "large", session_url: "http://bucket/upload/1" }]);
  t.deepEqual(await rows(), []);
});

test("a close that failed leaves no name and keeps the bytes, and the name can be used again", async (t) => {
  const { names, state, serve } = await inProcess(t);
  const fileSystem = serve();
  names.beforeInsert = () => Promise.reject(new BucketError("unavailable", "no answer"));
  const { entry, opened } = await fileSystem.create(CALLER, ROOT_INODE, "f", 0o644, 0, constants.O_WRONLY);
  await fileSystem.write(CALLER, entry.attributes.inode, opened.handle, 0, Buffer.from("bytes"));
  await t.throwsAsync(fileSystem.flush(CALLER, entry.attributes.inode, opened.handle));
  await fileSystem.release(entry.attributes.inode, opened.handle);
  await t.throwsAsync(fileSystem.lookup(CALLER, ROOT_INODE, "f"), { code: "ENOENT" });
  const [kept] = await state.database.read("SELECT object, state, error FROM copies");
  t.like(kept, { object: "f", state: "failed", error: "no answer" });
  names.beforeInsert = () => Promise.resolve();
  await write(fileSystem, "f", Buffer.from("again"));
  t.is(names.objects.get("f")?.size, 5);
});
