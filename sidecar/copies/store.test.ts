import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { MemoryBucket } from "./bucket.fixture.ts";
import type { Copy } from "./copy.ts";
import { IDENTITY, openStore, temporaryFolder, type OpenStore } from "./folder.fixture.ts";
import { StateFolder, StateFolderError } from "./state-folder.ts";

const memory = new MemoryBucket();

/** A copy of a new object, complete, kept and closed. */
async function kept({ store }: OpenStore, name: string, bytes: Buffer): Promise<[ObjectInfo, Copy]> {
  const version = memory.put(name, bytes);
  const copy = await store.obtain(version);
  await copy.fill(0, bytes);
  await store.keep(copy, version);
  return [version, copy];
}

function filesIn(directory: string): string[] {
  return fs.readdirSync(path.join(directory, "copies"));
}

test("RULES 17: a later run finds a copy by object and generation, and by nothing less", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  const [version] = await kept(first, "photo", Buffer.from("bytes"));
  await first.close();

  const second = await openStore(directory);
  const found = await second.store.obtain(version);
  t.true(found.whole);
  t.deepEqual(await found.read(0, 10), Buffer.from("bytes"));
  for (const other of [
    { ...version, generation: version.generation + 1n },
    { ...version, name: "photo2" },
  ]) {
    t.false((await second.store.obtain(other)).whole, "another version has to be fetched");
  }
  await second.close();
});

test("RULES 17: a copy follows its object's new name and generation into a later run", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  const [version, copy] = await kept(first, "before", Buffer.from("bytes"));
  const moved = { ...version, name: "after", generation: version.generation + 5n };
  copy.version = moved;
  first.store.renamed(copy, moved);
  t.false(copy.isOpen, "the file need not be open for that");
  await first.close();

  const second = await openStore(directory);
  t.true((await second.store.obtain(moved)).whole);
  await second.close();
});

test("a renamed object whose copy was evicted meanwhile is no trouble, and leaves nothing behind", async (t) => {
  const directory = await temporaryFolder(t);
  const open = await openStore(directory, { cacheSizeBytes: 10_000 });
  const [version, copy] = await kept(open, "one", Buffer.alloc(8000, 1));
  await kept(open, "two", Buffer.alloc(8000, 2));
  t.true(copy.retired, "there is room for one of them");
  await open.background.idle();
  t.notThrows(() => open.store.renamed(copy, { ...version, name: "three" }));
  await open.close();
  t.deepEqual(open.failures, []);
  t.is(filesIn(directory).length, 1);
});

test("a copy that is on its way out is not found again", async (t) => {
  const open = await openStore(await temporaryFolder(t), { cacheSizeBytes: 10_000 });
  const [version] = await kept(open, "one", Buffer.alloc(8000, 1));
  const obtaining = open.store.obtain(version); // asked before it is evicted, answered after
  await kept(open, "two", Buffer.alloc(8000, 2));
  const copy = await obtaining;
  await open.background.idle();
  t.true(fs.existsSync(copy.path));
  await open.close();
});

test("bytes a crash interrupted are kept, those already uploaded or of no use are erased", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  const written = first.store.create("written");
  await written.write(0, Buffer.from("not closed yet"));
  const uploaded = first.store.create("uploaded");
  void first.store.uploaded(uploaded, "uploaded");
  const longer = first.store.create("longer");
  void first.store.uploaded(longer, "longer");
  await new Promise((resolve) => setTimeout(resolve, 20));
  await longer.write(0, Buffer.from("written after its upload"));
  const version = memory.put("fetched", Buffer.alloc(100));
  const fetched = await first.store.obtain(version);
  await first.close();
  fs.writeFileSync(`${written.path}.clone`, "of an upload");
  t.is(filesIn(directory).length, 5);

  await new Promise((resolve) => setTimeout(resolve, 20));
  const second = await openStore(directory);
  const fresh = await second.store.obtain(memory.put("fresh", Buffer.alloc(100)));
  await second.background.idle();
  t.false(fs.existsSync(fetched.path), "it was never kept");
  t.false(fs.existsSync(uploaded.path), "the bucket has it");
  t.deepEqual(filesIn(directory).toSorted(), [written.id, longer.id, fresh.id].toSorted());
  t.deepEqual(await second.state.database.read("SELECT object, state FROM copies ORDER BY object"), [
    { __proto__: null, object: "longer", state: "unfinished" },
    { __proto__: null, object: "written", state: "unfinished" },
  ]);
  await second.close();
  t.deepEqual(second.failures, []);
});

test("RULES 16: a promise is withdrawn, and that committed, before the first write", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  const [version, copy] = await kept(first, "edited", Buffer.from("before"));
  t.true(first.store.pin(copy));
  await first.store.withdraw(copy, "edited");
  await copy.write(0, Buffer.from("after!"));
  await first.close();

  const second = await openStore(directory);
  t.false((await second.store.obtain(version)).whole, "the edited bytes are not those of the version");
  await second.close();
});

test("RULES 16: commits that come together share the disk's time, and nothing else waits for it", async (t) => {
  const commitDelayMs = 30;
  const open = await openStore(await temporaryFolder(t), { commitDelayMs });
  await open.background.idle();
  let longestMs = 0;
  let last = performance.now();
  const ticking = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }, 1);
  const started = performance.now();
  await Promise.all(Array.from({ length: 64 }, (_, i) => kept(open, `file-${i}`, Buffer.from("x"))));
  const tookMs = performance.now() - started;
  clearInterval(ticking);
  t.true(tookMs < 64 * commitDelayMs * 0.5, `64 commits took ${Math.round(tookMs)} ms`);
  t.true(longestMs < 64 * commitDelayMs * 0.25, `this thread stood still for ${Math.round(longestMs)} ms`);
  await open.close();
});

test("RULES 20: a start does not read every row", async (t) => {
  const [few, many] = [await temporaryFolder(t), await temporaryFolder(t)];
  for (const [directory, rows] of [
    [few, 10],
    [many, 50_000],
  ] as const) {
    const { state, close } = await openStore(directory);
    await state.database.write({
      sql: `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
            INSERT INTO copies (id, object, state, bytes, used_ms) SELECT 'id' || i, 'object' || i, 'clean', 1, i FROM n`,
      values: [rows],
    });
    await close();
  }
  const timed = async (directory: string): Promise<number> => {
    const started = performance.now();
    const { close } = await openStore(directory);
    const tookMs = performance.now() - started;
    await close();
    return tookMs;
  };
  const fewMs = await timed(few);
  const manyMs = await timed(many);
  t.true(manyMs < fewMs + 300, `${Math.round(manyMs)} ms with 50,000 rows, ${Math.round(fewMs)} ms with 10`);
});

test("RULES 20: a second process is refused while the first lives, and let in once it is gone", async (t) => {
  const directory = await temporaryFolder(t);
  const folder = fileURLToPath(new URL("./state-folder.ts", import.meta.url));
  const program = `
    const { StateFolder } = await import(${JSON.stringify(folder)});
    await StateFolder.open(${JSON.stringify(directory)}, ${JSON.stringify(IDENTITY)});
    console.log("open");
    setInterval(() => {}, 1000);`;
  const first = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(first.stdout, "data");
  const error = await t.throwsAsync(StateFolder.open(directory, IDENTITY), { instanceOf: StateFolderError });
  t.regex(error?.message ?? "", new RegExp(`in use by process ${first.pid}`));
  first.kill("SIGKILL");
  await once(first, "exit");
  const state = await StateFolder.open(directory, IDENTITY);
  await state.close();
});

test("RULES 22: another bucket is refused, saying whose folder it is", async (t) => {
  const directory = await temporaryFolder(t);
  await (await StateFolder.open(directory, IDENTITY)).close();
  const opening = StateFolder.open(directory, { ...IDENTITY, bucket: "other" });
  const error = await t.throwsAsync(opening, { instanceOf: StateFolderError });
  t.regex(error?.message ?? "", /belongs to bucket "test", not to "other"/);
  await (await StateFolder.open(directory, IDENTITY)).close();
});

test("RULES 22: a later bucket of the same name is refused, saying what is owed to the old one", async (t) => {
  const directory = await temporaryFolder(t);
  await (await StateFolder.open(directory, IDENTITY)).close(); // nobody could ask
  const made = { ...IDENTITY, bucketCreatedMs: Date.parse("2026-01-02T03:04:05Z") };
  await (await StateFolder.open(directory, made)).close();
  await (await StateFolder.open(directory, IDENTITY)).close();
  const state = await StateFolder.open(directory, made);
  await state.database.write(
    { sql: "INSERT INTO patches (object, generation, metadata) VALUES ('f', 1, '{}')", values: [] },
    {
      sql: "INSERT INTO copies (id, object, state, bytes, used_ms) VALUES ('i', 'g', 'failed', 1, 1)",
      values: [],
    },
  );
  await state.close();
  const opening = StateFolder.open(directory, { ...made, bucketCreatedMs: made.bucketCreatedMs + 1000 });
  const error = await t.throwsAsync(opening, { instanceOf: StateFolderError });
  t.regex(
    error?.message ?? "",
    /a bucket "test" that was made at 2026-01-02T03:04:05\.000Z; .* the bytes of 1 file and 1 other change \(/,
  );
  await (await StateFolder.open(directory, made)).close();
});
