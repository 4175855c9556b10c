// Whose a new file is, in ordinary folders and in those that pass their group on.

import test from "ava";
import type { InodeId } from "./filesystem.ts";
import { DirectoryNode } from "./nodes.ts";
import { ownerOfNew } from "./ownership.ts";

const caller = { uid: 33, gid: 44, pid: 1 };

function folder(mode: number): DirectoryNode {
  return Object.assign(new DirectoryNode(1 as InodeId, undefined, ""), { mode, gid: 2000 });
}

test("what is made is the caller's", (t) => {
  t.deepEqual(ownerOfNew(folder(0o777), caller, { mode: 0o100644, umask: 0 }), {
    uid: 33,
    gid: 44,
    mode: 0o644,
  });
  t.deepEqual(ownerOfNew(folder(0o777), caller, { mode: 0o755, umask: 0, folder: true }), {
    uid: 33,
    gid: 44,
    mode: 0o755,
  });
});

test("in a setgid folder it is of the folder's group, and folders pass that on", (t) => {
  t.deepEqual(ownerOfNew(folder(0o2775), caller, { mode: 0o644, umask: 0 }), {
    uid: 33,
    gid: 2000,
    mode: 0o644,
  });
  t.deepEqual(ownerOfNew(folder(0o2775), caller, { mode: 0o755, umask: 0, folder: true }), {
    uid: 33,
    gid: 2000,
    mode: 0o2755,
  });
});
