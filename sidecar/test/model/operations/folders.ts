// Work through open folders, which may have been renamed or removed since.

import fc from "fast-check";
import { operation } from "../operation.ts";
import { component, drawnPath, freshPath } from "../paths.ts";
import type { Handle, Run } from "../run.ts";
import { index, mode } from "./draw.ts";

/** An open folder, if there is one. */
function openFolder(run: Run, number: number): Handle | undefined {
  const folders = run.handles.filter((handle) => handle.folder);
  return folders[number % folders.length];
}

const entries = operation("readdir of an open folder", 3, index, async (run, number) => {
  const folder = openFolder(run, number);
  if (folder !== undefined) await run.both(folder.who, { call: "handle_entries", slot: folder.slot });
});

const openFolderAgain = operation(
  "open a folder",
  4,
  fc.record({ who: fc.constantFrom("A" as const, "B" as const), number: index }),
  async (run, { who, number }) => {
    const folders = run.everything().filter(({ status }) => status.isDirectory());
    const found = folders[number % folders.length];
    if (found === undefined) return;
    const slot = run.newSlot();
    const flags = ["O_RDONLY", "O_DIRECTORY"];
    const answer = await run.both(who, { call: "open", slot, path: found.path, flags, mode: 0 });
    if ("errno" in answer) return;
    const { ino: inode } = found.status;
    run.noteHandle({ slot, who, writable: false, synchronous: false, folder: true, special: false, inode });
  },
);

const OPEN_FLAGS: readonly (readonly string[])[] = [
  ["O_RDONLY"],
  ["O_RDWR", "O_CREAT"],
  ["O_WRONLY", "O_CREAT", "O_TRUNC"],
  ["O_RDWR", "O_CREAT", "O_EXCL"],
];
const openAt = operation(
  "openat",
  5,
  fc.record({
    on: index,
    name: component,
    mode,
    flags: fc.constantFrom(...OPEN_FLAGS),
  }),
  async (run, { on, name, mode, flags }) => {
    const folder = openFolder(run, on);
    if (folder === undefined) return;
    const slot = run.newSlot();
    const { who } = folder;
    const answer = await run.both(who, { call: "open_at", at: folder.slot, slot, name, flags, mode });
    if ("errno" in answer) return;
    const inode = run.inodeOfHandle(folder, name);
    if (inode === undefined) throw new Error("an open folder that has no name holds a file");
    const writable = !flags.includes("O_RDONLY");
    const [isFolder, special] = [run.isFolder(inode), run.isSpecial(inode)];
    run.noteHandle({ slot, who, writable, synchronous: false, folder: isFolder, special, inode });
  },
);

const makeFolderAt = operation(
  "mkdirat",
  2,
  fc.record({ on: index, name: component }),
  async (run, { on, name }) => {
    const folder = openFolder(run, on);
    if (folder !== undefined) await run.both(folder.who, { call: "make_folder_at", at: folder.slot, name });
  },
);

const unlinkAt = operation(
  "unlinkat",
  2,
  fc.record({ on: index, name: component }),
  async (run, { on, name }) => {
    const folder = openFolder(run, on);
    if (folder !== undefined) await run.both(folder.who, { call: "unlink_at", at: folder.slot, name });
  },
);

const renameTo = operation(
  "renameat into an open folder",
  3,
  fc.record({ path: drawnPath, on: index, name: component }),
  async (run, { path, on, name }) => {
    const folder = openFolder(run, on);
    if (folder === undefined) return;
    await run.both(folder.who, { call: "rename_to", path: run.path(path), at: folder.slot, name });
  },
);

const renameFrom = operation(
  "renameat out of an open folder",
  2,
  fc.record({ on: index, name: component, to: freshPath }),
  async (run, { on, name, to }) => {
    const folder = openFolder(run, on);
    if (folder === undefined) return;
    await run.both(folder.who, { call: "rename_from", at: folder.slot, name, to: run.path(to) });
  },
);

export const FOLDERS = [entries, openFolderAgain, openAt, makeFolderAt, unlinkAt, renameTo, renameFrom];
