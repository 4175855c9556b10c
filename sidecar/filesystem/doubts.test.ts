import test from "ava";
import { Doubts, EVERY_NAME } from "./doubts.ts";
import type { InodeId } from "./filesystem.ts";
import { DirectoryNode } from "./nodes.ts";

test("a doubt is about a name and all below it, for what was asked before", (t) => {
  const root = new DirectoryNode(1 as InodeId, undefined, "");
  const folder = new DirectoryNode(2 as InodeId, root, "d");
  const doubts = new Doubts();
  t.false(doubts.since(folder, "a", 0));
  doubts.add(root, "d", 7);
  t.true(doubts.since(root, "d", 6));
  t.true(doubts.since(folder, "a", 6));
  t.true(doubts.since(folder, EVERY_NAME, 6));
  t.false(doubts.since(folder, "a", 7));
  t.false(doubts.since(root, "e", 6));
  t.false(doubts.since(root, EVERY_NAME, 6));
  doubts.clear();
  t.false(doubts.since(root, "d", 6));
});

test("too many doubts are one about everything", (t) => {
  const root = new DirectoryNode(1 as InodeId, undefined, "");
  const doubts = new Doubts();
  for (let count = 1; count <= 10_000; count += 1) doubts.add(root, String(count), count);
  t.false(doubts.since(root, "other", 0));
  doubts.add(root, "one more", 10_001);
  t.is(doubts.size, 0);
  t.true(doubts.since(root, "other", 10_000));
  t.false(doubts.since(root, "one more", 10_001));
});
