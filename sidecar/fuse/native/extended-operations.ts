// The operations on extended attributes. The kernel's room for an answer is the buffer it comes in; none asks how long the
// answer would be.

import { FileSystemError } from "../../filesystem/errors.ts";
import type { OperationName } from "./addon.ts";
import type { Served } from "./name-operations.ts";
import { type Answer, done, handedBack, type Operation } from "./operation.ts";

const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** Put by the addon for each byte of a name that is not UTF-8. */
const REPLACEMENT = "\ufffd";

function setMode(flags: number): "any" | "create" | "replace" {
  if (flags === XATTR_CREATE) return "create";
  return flags === XATTR_REPLACE ? "replace" : "any";
}

function bytesOrSize(bytes: Buffer, into: Buffer): Answer {
  if (into.length > 0 && bytes.length > into.length)
    throw new FileSystemError("ERANGE", `${bytes.length} bytes, room for ${into.length}`);
  bytes.copy(into);
  return handedBack(bytes.length, into);
}

function requireText(name: string): string {
  if (name.includes(REPLACEMENT)) throw new FileSystemError("ENOTSUP", "a name that is not UTF-8");
  return name;
}

/** By the name the addon has for them. */
export function extendedOperations({ fileSystem, paths, caller }: Served) {
  return {
    getxattr: (_thread, path: string, name: string, into: Buffer) =>
      paths.at(path, async (inode) =>
        bytesOrSize(await fileSystem.getExtendedAttribute(caller, inode, name), into),
      ),

    listxattr: (_thread, path: string, into: Buffer) =>
      paths.at(path, async (inode) => {
        const names = await fileSystem.listExtendedAttributes(caller, inode);
        return bytesOrSize(Buffer.from(names.map((name) => `${name}\0`).join("")), into);
      }),

    setxattr: (_thread, path: string, name: string, value: Buffer, _position: number, flags: number) =>
      paths.at(path, async (inode) => {
        await fileSystem.setExtendedAttribute(caller, inode, requireText(name), value, setMode(flags));
        return handedBack(0, value);
      }),

    removexattr: (_thread, path: string, name: string) =>
      paths.at(path, async (inode) => {
        await fileSystem.removeExtendedAttribute(caller, inode, name);
        return done();
      }),
  } satisfies Partial<Record<OperationName, Operation>>;
}
