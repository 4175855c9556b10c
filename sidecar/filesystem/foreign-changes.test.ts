// What messages of changes made elsewhere do to trust, with the filesystem in this process and a bucket that counts.

import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";
import { Journal } from "../handover/journal.ts";
import type { Bucket, Dated, ListQuery, ObjectInfo } from "../bucket/bucket.ts";
import type { ObjectChange } from "../bucket/notifications/change-message.ts";
import { openStore, temporaryFolder } from "../copies/folder.fixture.ts";
import { OwedWork } from "../copies/owed-work.ts";
import { createLog } from "../telemetry/log.ts";
import { isStale } from "./contested.ts";
import { FileSystemError } from "./errors.ts";
import { ROOT_INODE, type Caller, type DirectoryEntry, type InodeId } from "./filesystem.ts";
import { NO_KERNEL } from "./in-process.fixture.ts";
import { MountedFileSystem } from "./mounted-filesystem.ts";

const CALLER: Caller = { uid: 0, gid: 0, pid: 0 };
const HOUR_MS = 3_600_000;

/** A bucket of old objects, which are trusted for the whole minute. */
class OldBucket {
  readonly objects = new Map<string, ObjectInfo>();
  /** What it was asked, as `stat a` and `list a/`. */
  asked: string[] = [];
  /** What an insert, or a question, waits for after it was carried out. */
  beforeAnswer: () => Promise<void> = () => Promise.resolve();
  #generation = 100n;

  put(name: string): ObjectInfo {
    const info: ObjectInfo = {
      name,
      generation: ++this.#generation,
      metageneration: 1n,
      size: 0,
      crc32c: 0,
      createdMs: 0,
      updatedMs: 0,
      contentType: undefined,
      contentEncoding: undefined,
      metadata: {},
    };
    this.objects.set(name, info);
    return info;
  }

  get bucket(): Bucket {
    return {
      name: "test",
      insert: (name: string) => this.#answer(this.put(name)),
      stat: (name: string) => {
        this.asked.push(`stat ${name}`);
        return this.#answer(this.objects.get(name));
      },
      move: ({ name }: { name: string }, destination: string) => {
        this.objects.delete(name);
        return this.#answer(this.put(destination));
      },
      remove: (name: string) => this.#answer(this.objects.delete(name)).then(({ value }) => value),
      list: async ({ prefix, startOffset = "", endOffset = "\u{10ffff}" }: ListQuery) => {
        this.asked.push(`list ${startOffset === "" ? prefix : startOffset}`);
        const objects = [...this.objects.values()]
          .filter(({ name }) => name.startsWith(prefix) && name >= startOffset && name < endOffset)
          .sort((one, other) => (one.name < other.name ? -1 : 1));
        const { dateMs } = await this.#answer(undefined);
        return { objects, prefixes: [], nextPageToken: undefined, dateMs };
      },
    } as unknown as Bucket;
  }

  async #answer<T>(value: T): Promise<Dated<T>> {
    await this.beforeAnswer();
    return { value, dateMs: HOUR_MS };
  }
}

async function inProcess(t: ExecutionContext, { prefix = "", served = false } = {}) {
  const open = await openStore(await temporaryFolder(t), {});
  const old = new OldBucket();
  const owner = { uid: 0, gid: 0, mode: 0o777 };
  const clock = { nowMs: 1000 };
  const fileSystem = new MountedFileSystem({
    bucket: old.bucket,
    store: open.store,
    owed: new OwedWork(open.state.database),
    background: open.background,
    log: createLog("silent"),
    prefix,
    trust: { freshnessMs: 60_000, soleWriter: false },
    fileDefaults: owner,
    journal: new Journal(),
    directoryDefaults: owner,
    readOnly: false,
    extendedAttributes: false,
    hierarchical: false,
    lockNames: [],
    hostName: "here",
    mountId: "mount",
    monotonicMs: () => clock.nowMs,
    wallNs: () => 0n,
  });
  const expired: string[] = [];
  const tell = (who: string) => (_: InodeId, name: string) => {
    expired.push(who + name);
    return Promise.resolve();
  };
  fileSystem.attach({ ...NO_KERNEL, entryChanged: tell("") });
  const serve = served ? fileSystem.serve() : undefined;
  serve?.attach({ ...NO_KERNEL, entryChanged: tell("served ") });
  t.teardown(async () => {
    await fileSystem.shutdown();
    await open.close();
  });
  const session = { fileSystem, note: fileSystem.hearChanges(), serve, old, expired, clock };
  return {
    ...session,
    /** What the bucket is asked while `work` runs, more than the time that answers are shared after the last. */
    asked: async (work: () => Promise<unknown>): Promise<string[]> => {
      clock.nowMs += 200;
      old.asked = [];
      await work();
      return old.asked;
    },
  };
}

/** Looks a path up; answers its inode, or undefined if there is none. */
async function look(fileSystem: MountedFileSystem, path: string): Promise<InodeId | undefined> {
  let inode = ROOT_INODE;
  try {
    for (const name of path.split("/"))
      inode = (await fileSystem.lookup(CALLER, inode, name)).attributes.inode;
    return inode;
  } catch (error) {
    if (error instanceof FileSystemError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function list(fileSystem: MountedFileSystem, inode: InodeId = ROOT_INODE): Promise<string[]> {
  const handle = await fileSystem.openDirectory(CALLER, inode);
  const names: string[] = [];
  const accept = ({ name }: DirectoryEntry): boolean => names.push(name) > 0;
  await fileSystem.readDirectory(CALLER, inode, handle, 2, false, accept);
  await fileSystem.releaseDirectory(inode, handle);
  return names.sort();
}

function change(object: ObjectInfo, more: Partial<ObjectChange> = {}): ObjectChange {
  const { name, generation, updatedMs } = object;
  return { object: name, kind: "written", generation, replacedBy: undefined, atMs: updatedMs, ...more };
}

const removal = (object: ObjectInfo): ObjectChange => change(object, { kind: "removed" });

test("RULES 32: a newer version ends the trust in the one that is known, and the kernel is told; older ones do not", async (t) => {
  const { fileSystem, note, old, expired, asked } = await inProcess(t);
  const first = old.put("a");
  const before = await look(fileSystem, "a");
  t.deepEqual(await asked(() => look(fileSystem, "a")), [], "trusted");
  const second = old.put("a");
  const third = old.put("a");
  for (const late of [change(first), change(first, { kind: "attributes" })]) note(late);
  t.deepEqual(expired, []);
  t.deepEqual(await asked(() => look(fileSystem, "a")), []);
  // In any order, and more than once.
  for (const news of [third, second, third]) note(change(news));
  note(change(first, { kind: "removed", replacedBy: second.generation }));
  t.deepEqual([...new Set(expired)], ["a"]);
  t.is(
    await look(fileSystem, "a").then((inode) => inode === before),
    false,
    "another version is another inode",
  );
  t.deepEqual(old.asked, ["stat a"], "asked once, when it was looked at");
  for (const late of [second, first, third]) note(change(late));
  note(removal(second));
  t.deepEqual(await asked(() => look(fileSystem, "a")), [], "what is known by now is no news");
});

test("a message is never taken for the truth: what it says is gone may still be there", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  const object = old.put("a");
  const inode = await look(fileSystem, "a");
  note(removal(object));
  note(change({ ...object, name: "b", generation: 999n }));
  t.deepEqual(await asked(async () => t.is(await look(fileSystem, "a"), inode)), ["stat a"]);
  t.is(await look(fileSystem, "b"), undefined);
});

test("a removed file is gone from its name and its folder; one that came back meanwhile is there", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  const [a] = [old.put("a"), old.put("b")];
  t.deepEqual(await list(fileSystem), ["a", "b"]);
  old.objects.delete("a");
  note(removal(a));
  t.deepEqual(await asked(async () => t.deepEqual(await list(fileSystem), ["b"])), ["list "]);
  t.is(await look(fileSystem, "a"), undefined);
  old.put("a");
  note(removal(a)); // again, and late
  t.truthy(await look(fileSystem, "a"));
});

test("a new name ends the trust in the listing of its folder and in no other", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  for (const name of ["d/a", "e/a", "top"]) old.put(name);
  t.deepEqual(await list(fileSystem), ["d", "e", "top"]);
  const [d, e] = [await look(fileSystem, "d"), await look(fileSystem, "e")];
  for (const folder of [d, e]) t.deepEqual(await list(fileSystem, folder), ["a"]);
  note(change(old.put("d/b")));
  t.deepEqual(
    await asked(async () => {
      t.deepEqual(await list(fileSystem, d), ["a", "b"]);
      t.deepEqual(await list(fileSystem, e), ["a"]);
      t.deepEqual(await list(fileSystem), ["d", "e", "top"]);
    }),
    ["list d/"],
  );
  note(change(old.put("new/deep/er")));
  t.deepEqual(await asked(async () => t.deepEqual(await list(fileSystem), ["d", "e", "new", "top"])), [
    "list ",
  ]);
});

test("a folder that may have gone with the last thing in it is asked about; one with other things is not", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  const [x, a] = [old.put("d/e/x"), old.put("f/a"), old.put("f/b"), old.put("g")];
  await list(fileSystem);
  for (const path of ["d/e/x", "f/a", "f/b"]) await look(fileSystem, path);
  for (const name of ["d/e/x", "f/a"]) old.objects.delete(name);
  note(removal(a));
  t.deepEqual(await asked(() => look(fileSystem, "f")), []);
  note(removal(x));
  await asked(async () => t.is(await look(fileSystem, "d"), undefined));
  t.deepEqual(await list(fileSystem), ["f", "g"]);
});

test("a folder's own object that changed ends the trust in the folder", async (t) => {
  const { fileSystem, note, old, expired, asked } = await inProcess(t);
  const placeholder = old.put("d/");
  old.put("d/a");
  await list(fileSystem);
  await look(fileSystem, "d");
  note(change(placeholder));
  t.deepEqual(await asked(() => look(fileSystem, "d")), []);
  note(change(old.put("d/")));
  t.deepEqual(expired, ["d"]);
  t.deepEqual(await asked(() => look(fileSystem, "d")), ["list d"]);
});

test("a change of attributes is news if it is later than the one that is known", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  const object = old.put("a");
  await look(fileSystem, "a");
  const at = (atMs: number) => change(object, { kind: "attributes", atMs });
  note(at(object.updatedMs));
  note(at(object.updatedMs + 20)); // the event's time need not be exactly the object's
  t.deepEqual(await asked(() => look(fileSystem, "a")), []);
  note(at(object.updatedMs + 5000));
  t.deepEqual(await asked(() => look(fileSystem, "a")), ["stat a"]);
});

test("what is outside of the prefix, our own working objects, and names no file can have are of no interest", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t, { prefix: "in/" });
  old.put("in/a");
  t.deepEqual(await list(fileSystem), ["a"]);
  for (const name of [
    "a",
    "out/a",
    "in",
    "in/",
    "in/.sidemount.tmp/tail",
    "in/x\0y",
    "in//a",
    `in/${"x".repeat(256)}`,
  ])
    note(change({ ...old.put("other"), name }));
  t.deepEqual(await asked(() => list(fileSystem)), []);
});

test("RULES 7: an answer that was on its way when the message came is taken in, and not trusted", async (t) => {
  const { fileSystem, note, old, clock, asked } = await inProcess(t);
  for (const name of ["a", "d/x"]) old.put(name);
  const gate = Promise.withResolvers<void>();
  old.beforeAnswer = () => gate.promise;
  const looking = look(fileSystem, "a");
  const below = look(fileSystem, "d/x");
  const listing = list(fileSystem);
  await delay(10);
  note(change(old.put("a")));
  note(change(old.put("d/x")));
  note(change(old.put("b")));
  gate.resolve();
  await Promise.all([looking, below, listing]);
  clock.nowMs += 200;
  t.deepEqual(await asked(() => look(fileSystem, "d/x")), ["list d"]);
  t.deepEqual(await asked(() => look(fileSystem, "a")), ["stat a"]);
  t.deepEqual(await asked(() => list(fileSystem)), ["list "]);
  for (const path of ["a", "d/x"])
    t.deepEqual(await asked(() => look(fileSystem, path)), [], "and trusted again");
});

test("changes made here are recognised, also when the message comes before our own answer", async (t) => {
  const { fileSystem, note, old, asked, expired } = await inProcess(t);
  old.put("before");
  await list(fileSystem);
  const answers = Promise.withResolvers<void>();
  old.beforeAnswer = () => {
    for (const object of old.objects.values()) note(change(object));
    return answers.promise;
  };
  const made = fileSystem.makeDirectory(CALLER, ROOT_INODE, "d", 0o777, 0);
  const linked = fileSystem.symlink(CALLER, ROOT_INODE, "l", "target");
  await delay(200); // looked at more than once meanwhile
  answers.resolve();
  const { attributes } = await made;
  await linked;
  old.beforeAnswer = () => Promise.resolve();
  for (const object of old.objects.values()) note(change(object));
  await delay(200);
  t.deepEqual(
    await asked(async () => {
      t.deepEqual(await list(fileSystem), ["before", "d", "l"]);
      t.is(await look(fileSystem, "d"), attributes.inode);
      t.truthy(await look(fileSystem, "l"));
    }),
    [],
  );
  const link = old.objects.get("l") as ObjectInfo;
  const leaving = Promise.withResolvers<void>();
  old.beforeAnswer = () => {
    note(removal(link));
    return leaving.promise;
  };
  const removed = fileSystem.unlink(CALLER, ROOT_INODE, "l");
  await delay(100);
  leaving.resolve();
  await removed;
  await delay(100);
  t.deepEqual(await asked(() => list(fileSystem)), []);
  t.deepEqual(expired, []);
});

test("whoever reads through the serve mount is told as well", async (t) => {
  const { note, serve, old, expired, asked } = await inProcess(t, { served: true });
  old.put("a");
  await serve?.lookup(CALLER, ROOT_INODE, "a");
  t.deepEqual(await asked(async () => serve?.lookup(CALLER, ROOT_INODE, "a")), []);
  note(change(old.put("a")));
  t.true(expired.includes("served a"));
  t.deepEqual(await asked(async () => serve?.lookup(CALLER, ROOT_INODE, "a")), ["stat a"]);
});

test("an open after the message opens the new version", async (t) => {
  const { fileSystem, note, old } = await inProcess(t);
  old.put("a");
  const inode = (await look(fileSystem, "a")) as InodeId;
  note(change(old.put("a")));
  const error: unknown = await t.throwsAsync(fileSystem.open(CALLER, inode, 0));
  t.true(isStale(error), "RULES 24: the kernel looks the name up again");
});

test("after the end of the mount messages are of no interest", async (t) => {
  const { fileSystem, note, old } = await inProcess(t);
  old.put("a");
  await look(fileSystem, "a");
  await fileSystem.shutdown();
  t.notThrows(() => note(change(old.put("a"))));
});

test("a message of a name that was left here before it came is no news", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  old.put("other");
  await list(fileSystem);
  await fileSystem.symlink(CALLER, ROOT_INODE, "temporary", "target");
  const temporary = old.objects.get("temporary") as ObjectInfo;
  await fileSystem.rename(CALLER, ROOT_INODE, "temporary", ROOT_INODE, "final", "replace");
  await fileSystem.symlink(CALLER, ROOT_INODE, "gone", "target");
  const gone = old.objects.get("gone") as ObjectInfo;
  await fileSystem.unlink(CALLER, ROOT_INODE, "gone");
  await fileSystem.makeDirectory(CALLER, ROOT_INODE, "d", 0o777, 0);
  const folder = old.objects.get("d/") as ObjectInfo;
  await fileSystem.removeDirectory(CALLER, ROOT_INODE, "d");
  for (const object of [temporary, gone, folder])
    for (const late of [change(object), removal(object)]) note(late);
  t.deepEqual(await asked(async () => t.deepEqual(await list(fileSystem), ["final", "other"])), []);
  note(change(old.put("gone"))); // somebody else's
  t.deepEqual(await asked(async () => t.deepEqual(await list(fileSystem), ["final", "gone", "other"])), [
    "list ",
  ]);
});

test("what was below a folder that was renamed here went with it", async (t) => {
  const { fileSystem, note, old, asked } = await inProcess(t);
  const [object] = [old.put("from/x"), old.put("other")];
  await list(fileSystem);
  await fileSystem.rename(CALLER, ROOT_INODE, "from", ROOT_INODE, "to", "replace");
  for (const late of [change(object), removal(object)]) note(late);
  const moved = old.objects.get("to/x") as ObjectInfo;
  note(change(moved));
  t.deepEqual(await asked(async () => t.deepEqual(await list(fileSystem), ["other", "to"])), []);
  note(change(old.put("from/y")));
  for (const endMs = Date.now() + 10_000; !(await list(fileSystem)).includes("from"); await delay(10))
    if (Date.now() > endMs) return t.fail("somebody else's folder of that name");
  t.deepEqual(await list(fileSystem), ["from", "other", "to"]);
});
