import test from "ava";

import type { Entry, FileKind, InodeId } from "../../filesystem/filesystem.ts";
import { KnownFolders } from "./known-folders.ts";
import type { Place } from "./paths.ts";

function entry(inode: number, kind: FileKind, entryValidMs: number): Entry {
  const times = { accessTimeNs: 0n, modifyTimeNs: 0n, changeTimeNs: 0n };
  const numbers = { mode: 0, uid: 0, gid: 0, size: 0, blocks: 0, linkCount: 1, deviceNumber: 0 };
  const attributes = { inode: inode as InodeId, kind, ...numbers, ...times };
  return { attributes, entryValidMs, attributesValidMs: 0 };
}

const at = (name: string): Place => ({ folder: 1 as InodeId, name });

function known() {
  const forgotten: number[] = [];
  const clock = { ms: 0 };
  const folders = new KnownFolders(
    (inode) => forgotten.push(inode),
    () => clock.ms,
  );
  return { folders, forgotten, clock };
}

test("a folder is known for as long as its look-up is good for, then its look-up is given back", (t) => {
  const { folders, forgotten, clock } = known();
  t.true(folders.keep(at("d"), entry(2, "directory", 100)));
  clock.ms = 99;
  t.is(folders.find(at("d")), 2 as InodeId);
  t.deepEqual(forgotten, []);
  clock.ms = 100;
  t.is(folders.find(at("d")), undefined);
  t.deepEqual(forgotten, [2]);
});

test("files, and folders that must be asked about each time, are not known", (t) => {
  const { folders, forgotten } = known();
  t.false(folders.keep(at("f"), entry(2, "file", 100)));
  t.false(folders.keep(at("d"), entry(3, "directory", 0)));
  t.is(folders.find(at("d")), undefined);
  t.deepEqual(forgotten, []);
});

test("each look-up that is taken over is given back once: replaced, dropped, crowded out, or at the end", (t) => {
  const { folders, forgotten } = known();
  folders.keep(at("d"), entry(2, "directory", 100));
  folders.keep(at("d"), entry(3, "directory", 100));
  t.deepEqual(forgotten.splice(0), [2]);
  folders.drop(at("d"));
  folders.drop(at("d"));
  t.deepEqual(forgotten.splice(0), [3]);
  for (let i = 0; i < 1001; i += 1) folders.keep(at(`d${i}`), entry(10 + i, "directory", 100));
  t.deepEqual(forgotten.splice(0), [10]);
  folders.clear();
  t.is(forgotten.length, 1000);
});
