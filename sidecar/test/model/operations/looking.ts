// Looking at folders.

import fc from "fast-check";
import { operation } from "../operation.ts";
import { drawnPath } from "../paths.ts";
import { who } from "./draw.ts";

const entries = operation("readdir", 6, fc.record({ who, path: drawnPath }), async (run, { who, path }) => {
  await run.both(who, { call: "entries", path: run.path(path) });
});

const top = operation("readdir of the top", 3, who, async (run, who) => {
  await run.both(who, { call: "entries", path: "" });
});

const tree = operation("find", 5, fc.boolean(), async (run, withContents) => {
  await run.both("A", { call: "tree", with_contents: withContents });
});

const bucket = operation("compare the bucket", 2, fc.constant(0), async (run) => {
  await run.compareBucket();
});

export const LOOKING = [entries, top, tree, bucket];
