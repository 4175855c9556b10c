// More files and folders than are remembered: forgetting some must not show.

import test, { type ExecutionContext } from "ava";
import { Journal } from "../handover/journal.ts";
import type { Bucket, ListQuery, ObjectInfo } from "../bucket/bucket.ts";
import { openStore, temporaryFolder } from "../copies/folder.fixture.ts";
import { OwedWork } from "../copies/owed-work.ts";
import { createLog } from "../telemetry/log.ts";
import { ROOT_INODE, type Caller, type DirectoryEntry } from "./filesystem.ts";
import { NO_KERNEL } from "./in-process.fixture.ts";
import { MountedFileSystem } from "./mounted-filesystem.ts";
import { Tree } from "./tree.ts";

const CALLER: Caller = { uid: 0, gid: 0, pid: 0 };
const NAMES = 45_000;
const owner = { uid: 0, gid: 0, mode: 0o777 };

function nameOf(number: number): string {
  return String(number).padStart(6, "0");
}

/** A bucket with `NAMES` objects below each prefix that is asked for. */
const bucket = {
  name: "test",
  list: ({ prefix, startOffset = "", pageSize = 1000, pageToken }: ListQuery) => {
    const folder = prefix === "" ? `${startOffset}/` : prefix; // of a look-up
    const start = Number(pageToken ?? startOffset.slice(folder.length));
    const end = Math.min(NAMES, start + pageSize);
    const objects = Array.from({ length: end - start }, (_, i): ObjectInfo => {
      const times = { createdMs: 0, updatedMs: 0, contentType: undefined, contentEncoding: undefined };
      const name = folder + nameOf(start + i);
      return { name, generation: 1n, metageneration: 1n, size: 1, crc32c: 0, metadata: {}, ...times };
    });
    const next = end < NAMES ? String(end) : undefined;
    return Promise.resolve({ objects, prefixes: [], nextPageToken: next, dateMs: Date.now() });
  },
} as unknown as Bucket;

async function inProcess(t: ExecutionContext): Promise<MountedFileSystem> {
  const open = await openStore(await temporaryFolder(t), {});
  const fileSystem = new MountedFileSystem({
    bucket,
    store: open.store,
    owed: new OwedWork(open.state.database),
    background: open.background,
    log: createLog("silent"),
    prefix: "",
    trust: { freshnessMs: 0, soleWriter: false },
    fileDefaults: owner,
    journal: new Journal(),
    directoryDefaults: owner,
    readOnly: false,
    extendedAttributes: false,
    hierarchical: false,
    lockNames: [],
    hostName: "here",
    mountId: "mount",
    monotonicMs: () => performance.now(),
    wallNs: () => BigInt(Date.now()) * 1_000_000n,
  });
  fileSystem.attach(NO_KERNEL);
  t.teardown(async () => {
    await fileSystem.shutdown();
    await open.close();
  });
  return fileSystem;
}

/** Reads an open folder in several calls; answers how many names it showed. */
async function list(
  fileSystem: MountedFileSystem,
  name: string,
  withAttributes: boolean,
  between: () => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  const { attributes } = await fileSystem.lookup(CALLER, ROOT_INODE, name);
  const handle = await fileSystem.openDirectory(CALLER, attributes.inode);
  const names = new Set<string>();
  for (let offset = 0, before = -1; offset !== before;) {
    before = offset;
    let room = 20_000;
    const accept = (entry: DirectoryEntry): boolean => {
      if ((room -= 1) < 0) return false;
      names.add(entry.name);
      offset = entry.nextOffset;
      return true;
    };
    await fileSystem.readDirectory(CALLER, attributes.inode, handle, offset, withAttributes, accept);
    await between();
  }
  await fileSystem.releaseDirectory(attributes.inode, handle);
  return names.size - 2;
}

test("a folder is listed completely also where most of what is remembered is in use", async (t) => {
  const fileSystem = await inProcess(t);
  for (const name of ["a", "b", "c", "d"]) t.is(await list(fileSystem, name, true), NAMES, name);
});

test("nothing is missing from a listing that others go on to list more beside", async (t) => {
  const fileSystem = await inProcess(t);
  let others = 0;
  const between = async (): Promise<void> => {
    if (others < 2) await list(fileSystem, `other-${(others += 1)}`, false);
  };
  t.is(await list(fileSystem, "a", false, between), NAMES);
});

test("what is made is remembered, however much is in use", (t) => {
  const tree = new Tree({
    isBuried: () => false,
    prefix: "",
    hierarchical: false,
    fileDefaults: owner,
    journal: new Journal(),
    directoryDefaults: owner,
    trust: { freshnessMs: 0, soleWriter: false },
    monotonicMs: () => 0,
    wallNs: () => 0n,
    entryChanged: () => Promise.resolve(),
    placeChanged: () => undefined,
    attributesChanged: () => undefined,
    replaced: () => undefined,
  });
  const forgotten = [];
  for (let number = 0; number < 130_000; number += 1) {
    const made = tree.addDirectory(tree.root, nameOf(number));
    if (tree.root.children.get(made.name) !== made) forgotten.push(made.name);
    made.lookupCount = 1;
  }
  t.deepEqual(forgotten, []);
});
