// What happens around a close, with the filesystem in this process and a disk that is slow.

import { constants } from "node:fs";
import { crc32c } from "@node-rs/crc32";
import test, { type ExecutionContext } from "ava";
import { Journal } from "../handover/journal.ts";
import type { Bucket, Dated, ObjectInfo, UploadOptions, UploadSource } from "../bucket/bucket.ts";
import { BucketError } from "../bucket/errors.ts";
import { openStore, temporaryFolder } from "../copies/folder.fixture.ts";
import { OwedWork } from "../copies/owed-work.ts";
import { createLog } from "../telemetry/log.ts";
import { ROOT_INODE, type BackingId, type Caller } from "./filesystem.ts";
import { MountedFileSystem } from "./mounted-filesystem.ts";

const CALLER: Caller = { uid: 0, gid: 0, pid: 0 };
const MB = 1 << 20;

/** A bucket that keeps names and lengths; what an insert does first can be given. */
class NamesBucket {
  readonly objects = new Map<string, ObjectInfo>();
  beforeInsert: (name: string, options: UploadOptions) => Promise<void> = () => Promise.resolve();
  #generation = 1n;

  get bucket(): Bucket {
    return {
      name: "test",
      insert: this.#insert.bind(this),
      stat: (name: string) => Promise.resolve(dated(this.objects.get(name))),
      list: ({ startOffset = "" }: { startOffset?: string }) =>
        Promise.resolve({
          objects: [...this.objects.values()].filter(({ name }) => name === startOffset),
          prefixes: [],
          nextPageToken: undefined,
          dateMs: Date.now(),
        }),
    } as unknown as Bucket;
  }

  async #insert(
    name: string,
    source: UploadSource,
    expected: bigint | "absent",
    _properties: unknown,
    options: UploadOptions,
  ): Promise<Dated<ObjectInfo>> {
    await this.beforeInsert(name, options);
    if ((this.objects.get(name)?.generation ?? "absent") !== expected)
      throw new BucketError("precondition-failed", "not as expected");
    const size = source.kind === "bytes" ? source.bytes.length : source.size;
    const info: ObjectInfo = {
      name,
      generation: ++this.#generation,
      metageneration: 1n,
      size,
      crc32c: source.kind === "bytes" ? crc32c(source.bytes) : source.crc32c,
      createdMs: 0,
      updatedMs: 0,
      contentType: undefined,
      contentEncoding: undefined,
      metadata: {},
    };
    this.objects.set(name, info);
    return dated(info);
  }
}

function dated<T>(value: T): Dated<T> {
  return { value, dateMs: Date.now() };
}

async function inProcess(t: ExecutionContext, commitDelayMs = 0) {
  const open = await openStore(await temporaryFolder(t), { commitDelayMs });
  const names = new NamesBucket();
  const owner = { uid: 0, gid: 0, mode: 0o777 };
  const fileSystem = new MountedFileSystem({
    bucket: names.bucket,
    store: open.store,
    owed: new OwedWork(open.state.database),
    background: open.background,
    log: createLog("silent"),
    prefix: "",
    hierarchical: false,
    trust: { freshnessMs: 60_000, soleWriter: false },
    fileDefaults: owner,
    journal: new Journal(),
    directoryDefaults: owner,
    readOnly: false,
    lockNames: [],
    extendedAttributes: false,
    hostName: "here",
    mountId: "mount",
    monotonicMs: () => performance.now(),
    wallNs: () => BigInt(Date.now()) * 1_000_000n,
  });
  fileSystem.attach({
    shareFile: (): BackingId | undefined => undefined,
    unshareFile: () => undefined,
    entryChanged: () => Promise.resolve(),
    canExpireNamesAtOnce: () => true,
    attributesChanged: () => Promise.resolve(),
  });
  t.teardown(async () => {
    await fileSystem.shutdown();
    await open.close();
  });
  const write = async (name: string, bytes: Buffer): Promise<void> => {
    const { entry, opened } = await fileSystem.create(CALLER, ROOT_INODE, name, 0o644, 0, constants.O_WRONLY);
    const { inode } = entry.attributes;
    await fileSystem.write(CALLER, inode, opened.handle, 0, bytes);
    await fileSystem.flush(CALLER, inode, opened.handle);
    await fileSystem.release(inode, opened.handle);
  };
  return { ...open, names, fileSystem, write };
}

test("RULES 16: look-ups do not wait for a disk whose every commit takes 10 ms, during sixteen closes at once", async (t) => {
  const { fileSystem, write } = await inProcess(t, 10);
  await write("known", Buffer.from("x"));
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
    await Promise.all(Array.from({ length: 16 }, (_, i) => write(`f${round}-${i}`, Buffer.alloc(1000))));
  closing = false;
  await looking;
  const p99 = tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? 0;
  t.true(p99 < 5, `p99 ${p99.toFixed(1)} ms`);
});

test("RULES 20: the address of an upload is on disk while it is under way, and gone after it", async (t) => {
  const { names, state, write } = await inProcess(t);
  const seen: unknown[] = [];
  const rows = () => state.database.read("SELECT object, session_url FROM uploads");
  names.beforeInsert = async (_, options) => {
    await options.onSession?.({ url: "http://bucket/upload/1" });
    seen.push(...(await rows()).map((row) => ({ ...row })));
  };
  await write("large", Buffer.alloc(9 * MB));
  t.deepEqual(seen, [{ object: "large", session_url: "http://bucket/upload/1" }]);
  t.deepEqual(await rows(), []);
});

test("a close that failed leaves no name and keeps the bytes, and the name can be used again", async (t) => {
  const { names, state, write, fileSystem } = await inProcess(t);
  names.beforeInsert = () => Promise.reject(new BucketError("unavailable", "no answer"));
  const { entry, opened } = await fileSystem.create(CALLER, ROOT_INODE, "f", 0o644, 0, constants.O_WRONLY);
  await fileSystem.write(CALLER, entry.attributes.inode, opened.handle, 0, Buffer.from("bytes"));
  await t.throwsAsync(fileSystem.flush(CALLER, entry.attributes.inode, opened.handle));
  await fileSystem.release(entry.attributes.inode, opened.handle);
  await t.throwsAsync(fileSystem.lookup(CALLER, ROOT_INODE, "f"), { code: "ENOENT" });
  const [kept] = await state.database.read("SELECT object, state, error FROM copies");
  t.like(kept, { object: "f", state: "failed", error: "no answer" });
  names.beforeInsert = () => Promise.resolve();
  await write("f", Buffer.from("again"));
  t.is(names.objects.get("f")?.size, 5);
});
