// Whose a new file or folder is, and what it lets others do.

import type { Caller } from "./filesystem.ts";
import type { OwnerAndMode } from "./metadata.ts";
import type { DirectoryNode } from "./nodes.ts";

const SETUID = 0o4000;
const SETGID = 0o2000;
/** Without it the setgid bit of a file means something else, and stays. */
const GROUP_MAY_EXECUTE = 0o010;

/**
 * A file's mode once somebody without privilege has changed its bytes. The kernel sees to that where it truncates or writes;
 * what an open with O_TRUNC does it leaves to us (fuse_do_setattr, fs/fuse/dir.c).
 */
export function withoutPrivileges(mode: number): number {
  const group = SETGID | GROUP_MAY_EXECUTE;
  return mode & ~SETUID & ((mode & group) === group ? ~SETGID : -1);
}

/**
 * The caller's, as its umask wants it. In a folder with the setgid bit the group is that of the folder, and folders
 * get the bit too (inode(7)): the kernel leaves this to us.
 */
export function ownerOfNew(
  parent: DirectoryNode,
  { uid, gid }: Caller,
  { mode, umask, folder = false }: { mode: number; umask: number; folder?: boolean },
): OwnerAndMode {
  const bits = mode & 0o7777 & ~umask;
  if ((parent.mode & SETGID) === 0) return { uid, gid, mode: bits };
  return { uid, gid: parent.gid, mode: folder ? bits | SETGID : bits };
}
