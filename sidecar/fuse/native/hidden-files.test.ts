import { setTimeout as delay } from "node:timers/promises";

import test from "ava";

import type { InodeId } from "../../filesystem/filesystem.ts";
import { createLog } from "../../telemetry/log.ts";
import { HiddenFiles } from "./hidden-files.ts";
import type { Place } from "./paths.ts";

const folder = 1 as InodeId;
const inode = 7 as InodeId;
const place: Place = { folder, name: "file" };
const hiddenName = ".fuse_hidden0000000700000001";
const hiddenPlace: Place = { folder, name: hiddenName };
const [thread, another] = [Buffer.alloc(1), Buffer.alloc(1)];

function hiddenFiles(unlink: (place: Place) => Promise<void> = () => Promise.resolve()) {
  const unlinked: string[] = [];
  const lines: string[] = [];
  const log = createLog("warn", { write: (line) => lines.push(line) });
  const hidden = new HiddenFiles((each) => {
    unlinked.push(each.name);
    return unlink(each);
  }, log);
  return { hidden, unlinked, lines };
}

test("a hidden name leads to the file, and the old one to nothing, before it is unlinked and after", async (t) => {
  const { hidden, unlinked } = hiddenFiles();
  hidden.hide(thread, place, hiddenName, inode);
  for (const phase of ["before", "after"]) {
    t.is(hidden.inodeOf(hiddenPlace), inode, phase);
    if (phase === "before") t.throws(() => hidden.inodeOf(place), { message: /no file/ });
    await delay(200);
  }
  t.deepEqual(unlinked, ["file"], "by itself, soon");
  t.is(hidden.inodeOf(place), undefined, "what is there now is asked of the file system");
  await hidden.reveal(hiddenName, thread);
  t.throws(() => hidden.inodeOf(hiddenPlace), { message: /no \.fuse_hidden/ });
});

test("a rename by the same thread to the name is a replacement: nothing is unlinked", async (t) => {
  const { hidden, unlinked } = hiddenFiles();
  hidden.hide(thread, place, hiddenName, inode);
  t.is(hidden.hold(another, place.name), undefined);
  const held = hidden.hold(thread, place.name);
  await delay(200);
  t.deepEqual(unlinked, [], "however long the rename takes to find its folder");
  t.true(hidden.isReplacing(held, place));
  hidden.letGo(held);
  await delay(200);
  t.deepEqual(unlinked, []);
  t.is(hidden.inodeOf(place), undefined);
  t.is(hidden.inodeOf(hiddenPlace), inode, "open handles go on");
});

test("whatever else the thread does next, and whoever needs the name, has it unlinked at once", async (t) => {
  for (const next of [
    (hidden: HiddenFiles) => hidden.nextOf(thread),
    async (hidden: HiddenFiles) => void hidden.hold(thread, "another name"),
    async (hidden: HiddenFiles) =>
      void hidden.isReplacing(hidden.hold(thread, place.name), { folder: 2 as InodeId, name: place.name }),
    (hidden: HiddenFiles) => hidden.settle(place),
    (hidden: HiddenFiles) => hidden.settleAll(folder),
    (hidden: HiddenFiles) => hidden.settleAll(),
    (hidden: HiddenFiles) => hidden.reveal(hiddenName, thread),
  ]) {
    const { hidden, unlinked } = hiddenFiles(() => delay(20));
    hidden.hide(thread, place, hiddenName, inode);
    await hidden.nextOf(another);
    await hidden.settleAll(2 as InodeId);
    t.deepEqual(unlinked, []);
    await next(hidden);
    t.deepEqual(unlinked, ["file"]);
    t.is(hidden.hold(thread, place.name), undefined);
    await delay(150);
    t.deepEqual(unlinked, ["file"], "once");
  }
});

test("an unlink that is refused shows the name again and is logged", async (t) => {
  const { hidden, lines } = hiddenFiles(() => Promise.reject(new Error("retained")));
  hidden.hide(thread, place, hiddenName, inode);
  await hidden.settleAll();
  t.is(hidden.inodeOf(place), undefined);
  t.regex(lines.join(""), /could not be unlinked while it was open/);
});

test("names as libfuse makes them are nobody else's", (t) => {
  const { hidden } = hiddenFiles();
  t.throws(() => hidden.inodeOf(hiddenPlace), { message: /no \.fuse_hidden/ });
  t.is(hidden.inodeOf({ folder, name: ".fuse_hidden" }), undefined);
});

test("when changes are refused, hiding is too: there would be no way to say later that it failed", (t) => {
  const { hidden } = hiddenFiles();
  hidden.refuse();
  t.throws(() => hidden.hide(thread, place, hiddenName, inode), { message: /being stopped/ });
  t.is(hidden.inodeOf(place), undefined);
});

test("a rename that cannot find its folder leaves the file it was to replace", async (t) => {
  const { hidden, unlinked } = hiddenFiles();
  hidden.hide(thread, place, hiddenName, inode);
  hidden.letGo(hidden.hold(thread, place.name));
  await delay(150);
  t.deepEqual(unlinked, []);
  t.is(hidden.inodeOf(place), undefined, "its name shows again");
});
