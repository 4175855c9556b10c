import test from "ava";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { DepartedNames } from "./departed-names.ts";
import type { InodeId } from "./filesystem.ts";
import { DirectoryNode, FileNode } from "./nodes.ts";

const root = new DirectoryNode(1 as InodeId, undefined, "");

function file(generation: bigint): FileNode {
  const node = new FileNode(2 as InodeId, root, "f");
  node.version = { generation } as ObjectInfo;
  return node;
}

test("a name that was left covers what lay there until then", (t) => {
  const departed = new DepartedNames();
  departed.note(root, "a", file(7n));
  t.true(departed.covers(root, "a", 6n));
  t.true(departed.covers(root, "a", 7n));
  t.false(departed.covers(root, "a", 8n));
  t.false(departed.covers(root, "b", 1n));
  departed.note(root, "b", new FileNode(3 as InodeId, root, "b")); // was never in the bucket
  t.false(departed.covers(root, "b", 1n));
});

test("a folder covers as much as what is in it", (t) => {
  const departed = new DepartedNames();
  const folder = new DirectoryNode(4 as InodeId, root, "d");
  const below = new DirectoryNode(5 as InodeId, folder, "e");
  folder.children.set("e", below);
  folder.children.set("f", file(5n));
  below.children.set("f", file(9n));
  departed.note(root, "d", folder);
  t.true(departed.covers(root, "d", 9n));
  t.false(departed.covers(root, "d", 10n));
});

test("of too many the first is forgotten", (t) => {
  const departed = new DepartedNames();
  for (let count = 0; count <= 10_000; count += 1) departed.note(root, String(count), file(1n));
  t.false(departed.covers(root, "0", 1n));
  t.true(departed.covers(root, "1", 1n));
});
