// Making, moving and removing names; links.

import fc from "fast-check";
import { operation } from "../operation.ts";
import { drawnPath, freshPath } from "../paths.ts";
import { mode, who } from "./draw.ts";

const anyPath = fc.oneof(drawnPath, freshPath);

const rename = operation(
  "rename",
  14,
  fc.record({
    who,
    path: drawnPath,
    to: anyPath,
    flag: fc.constantFrom("replace", "replace", "replace", "no-replace"),
  }),
  async (run, { who, path, to, flag: drawn }) => {
    // libfuse 2 knows no flags of rename (SEMANTICS, Calls that are not there).
    const flag = run.world.settings.channel === "native" ? "replace" : drawn;
    await run.both(who, { call: "rename", path: run.path(path), to: run.path(to), flag });
  },
);

const unlink = operation("unlink", 8, fc.record({ who, path: drawnPath }), async (run, { who, path }) => {
  await run.both(who, { call: "unlink", path: run.path(path) });
});

const makeFolder = operation(
  "mkdir",
  8,
  fc.record({ who, path: freshPath, mode: fc.oneof(fc.constant(0o777), mode) }),
  async (run, { who, path, mode }) => {
    await run.both(who, { call: "make_folder", path: run.path(path), mode });
  },
);

const removeFolder = operation(
  "rmdir",
  4,
  fc.record({ who, path: drawnPath }),
  async (run, { who, path }) => {
    await run.both(who, { call: "remove_folder", path: run.path(path) });
  },
);

/** None leads out of the run's folder: what is there is not compared. */
const TARGETS = ["a", "b", "d", "d/a", "d/../a", "a/..", ".", "nowhere"];
const symlink = operation(
  "symlink",
  3,
  fc.record({ who, path: freshPath, target: fc.constantFrom(...TARGETS) }),
  async (run, { who, path, target }) => {
    await run.both(who, { call: "symlink", path: run.path(path), target });
  },
);

const readLink = operation("readlink", 1, fc.record({ who, path: drawnPath }), async (run, { who, path }) => {
  await run.both(who, { call: "read_link", path: run.path(path) });
});

const makeFifo = operation(
  "mkfifo",
  1,
  fc.record({ who, path: freshPath, mode }),
  async (run, { who, path, mode }) => {
    await run.both(who, { call: "make_fifo", path: run.path(path), mode });
  },
);

const makeFile = operation(
  "mknod",
  2,
  fc.record({ who, path: freshPath, mode }),
  async (run, { who, path, mode }) => {
    await run.both(who, { call: "make_file", path: run.path(path), mode });
  },
);

export const NAMES = [rename, unlink, makeFolder, removeFolder, symlink, readLink, makeFifo, makeFile];
