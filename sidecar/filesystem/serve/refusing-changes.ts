// What a tree for readers only says to every operation that would change something. The kernel refuses most of them by
// itself, because the mount is read-only.

import { FileSystemError } from "../errors.ts";
import type { FileSystem } from "../filesystem.ts";

type Change =
  | "setAttributes"
  | "symlink"
  | "link"
  | "makeNode"
  | "makeDirectory"
  | "unlink"
  | "removeDirectory"
  | "rename"
  | "create"
  | "write"
  | "changeSpace"
  | "copyRange"
  | "setExtendedAttribute"
  | "removeExtendedAttribute";

function refuse(): Promise<never> {
  return Promise.reject(new FileSystemError("EROFS", "this folder is for reading only"));
}

export abstract class RefusingChanges implements Pick<FileSystem, Change> {
  setAttributes(): Promise<never> {
    return refuse();
  }
  symlink(): Promise<never> {
    return refuse();
  }
  link(): Promise<never> {
    return refuse();
  }
  makeNode(): Promise<never> {
    return refuse();
  }
  makeDirectory(): Promise<never> {
    return refuse();
  }
  unlink(): Promise<never> {
    return refuse();
  }
  removeDirectory(): Promise<never> {
    return refuse();
  }
  rename(): Promise<never> {
    return refuse();
  }
  create(): Promise<never> {
    return refuse();
  }
  write(): Promise<never> {
    return refuse();
  }
  changeSpace(): Promise<never> {
    return refuse();
  }
  copyRange(): Promise<never> {
    return refuse();
  }
  setExtendedAttribute(): Promise<never> {
    return refuse();
  }
  removeExtendedAttribute(): Promise<never> {
    return refuse();
  }
}
