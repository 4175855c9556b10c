// Opening, closing, duplicating.

import fc from "fast-check";
import { operation } from "../operation.ts";
import { drawnPath, freshPath } from "../paths.ts";
import type { Run } from "../run.ts";
import type { Who } from "../world.ts";
import { index, mode, who } from "./draw.ts";

const access = fc.constantFrom("O_RDONLY", "O_RDWR", "O_RDWR", "O_WRONLY");
const flags = fc.record({
  access,
  create: fc.constantFrom([], ["O_CREAT"], ["O_CREAT"], ["O_CREAT", "O_EXCL"]),
  others: fc.subarray(["O_TRUNC", "O_APPEND", "O_SYNC", "O_DSYNC", "O_NOFOLLOW", "O_DIRECTORY"], {
    maxLength: 2,
  }),
  plain: fc.boolean(), // most programs use none of the others
});

const open = operation(
  "open",
  24,
  fc.record({ who, path: fc.oneof(drawnPath, freshPath), flags, mode }),
  async (run, { who, path, flags: { access, create, others, plain }, mode }) => {
    const name = run.path(path);
    const slot = run.newSlot();
    const wanted = [access, ...create, ...(plain ? [] : others)];
    const answer = await run.both(who, { call: "open", slot, path: name, flags: wanted, mode });
    if ("errno" in answer) return;
    const writable = access !== "O_RDONLY";
    const synchronous = wanted.some((flag) => flag === "O_SYNC" || flag === "O_DSYNC");
    const inode = run.inodeOf(name);
    run.noteHandle({
      slot,
      who,
      writable,
      synchronous,
      folder: run.isFolder(inode),
      special: run.isSpecial(inode),
      inode,
    });
  },
);

/** A small file as programs write it: opened anew, written, closed. */
const save = operation(
  "save",
  8,
  fc.record({ who, path: fc.oneof(drawnPath, freshPath), tag: index, length: fc.nat({ max: 200 }), mode }),
  async (run, { who, path, tag, length, mode }) => {
    const name = run.path(path);
    const slot = run.newSlot();
    const flags = ["O_WRONLY", "O_CREAT", "O_TRUNC"];
    const answer = await run.both(who, { call: "open", slot, path: name, flags, mode });
    if ("errno" in answer) return;
    const inode = run.inodeOf(name);
    await run.both(who, { call: "write", slot, tag, length });
    await run.both(who, { call: "close", slot });
    if (!isEmptyAndOpen(run, who, inode)) await run.requireSaved(inode);
  },
);

const close = operation("close", 12, index, async (run, number) => {
  const handle = run.handle(number);
  if (handle === undefined) return;
  run.dropHandle(handle);
  await run.both(handle.who, { call: "close", slot: handle.slot });
  // A reader's close saves only what nobody else will; what was stored through a mapping is saved soon.
  const saves = handle.writable
    ? !isEmptyAndOpen(run, handle.who, handle.inode)
    : !run.isOpen(handle.inode) && !run.storedAfterClose;
  if (saves) await run.requireSaved(handle.inode);
});

/**
 * Closing an empty file that the program has open for writing once more uploads nothing: another close comes. The native
 * channel knows of no program.
 */
function isEmptyAndOpen(run: Run, who: Who, inode: bigint): boolean {
  const found = run.everything().find(({ status }) => status.ino === inode);
  const anybody = run.world.settings.channel === "native";
  const others = run.handles.some(
    (handle) => handle.inode === inode && handle.writable && (anybody || handle.who === who),
  );
  return others && found?.status.size === 0n;
}

const duplicate = operation("dup", 2, index, async (run, number) => {
  const handle = run.handle(number);
  if (handle === undefined) return;
  const to = run.newSlot();
  await run.both(handle.who, { call: "duplicate", slot: handle.slot, to });
  run.noteHandle({ ...handle, slot: to });
});

const temporary = operation("O_TMPFILE", 1, who, async (run, who) => {
  await run.mountOnly(who, { call: "temporary", path: "" }, { errno: "ENOTSUP" });
});

export const OPENING = [open, save, close, duplicate, temporary];
