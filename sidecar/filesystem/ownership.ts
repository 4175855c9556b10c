// Whose a file is when it is made, and with which mode.

import type { Caller, FileKind } from "./filesystem.ts";
import type { OwnerAndMode } from "./metadata.ts";
import type { DirectoryNode } from "./nodes.ts";

const SETGID = 0o2000;

/**
 * What something new in `parent` begins with: the caller's, but for the group where the folder has the setgid bit, which
 * folders in it get as well (inode(7)). The kernel leaves this to us.
 */
export function ownershipIn(
  parent: DirectoryNode,
  { uid, gid }: Pick<Caller, "uid" | "gid">,
  kind: FileKind,
  mode: number,
): OwnerAndMode {
  if ((parent.mode & SETGID) === 0) return { uid, gid, mode: mode & 0o7777 };
  return { uid, gid: parent.gid, mode: (mode & 0o7777) | (kind === "directory" ? SETGID : 0) };
}
