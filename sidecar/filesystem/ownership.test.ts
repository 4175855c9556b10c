import test from "ava";
import type { InodeId } from "./filesystem.ts";
import { DirectoryNode } from "./nodes.ts";
import { ownershipIn } from "./ownership.ts";

const caller = { uid: 33, gid: 44 };

function folder(mode: number): DirectoryNode {
  return Object.assign(new DirectoryNode(1 as InodeId, undefined, ""), { mode, gid: 2000 });
}

test("what is made is the caller's", (t) => {
  t.deepEqual(ownershipIn(folder(0o777), caller, "file", 0o100644), { uid: 33, gid: 44, mode: 0o644 });
  t.deepEqual(ownershipIn(folder(0o777), caller, "directory", 0o755), { uid: 33, gid: 44, mode: 0o755 });
});

test("in a setgid folder it is of the folder's group, and folders pass that on", (t) => {
  t.deepEqual(ownershipIn(folder(0o2775), caller, "file", 0o644), { uid: 33, gid: 2000, mode: 0o644 });
  t.deepEqual(ownershipIn(folder(0o2775), caller, "directory", 0o755), { uid: 33, gid: 2000, mode: 0o2755 });
});
