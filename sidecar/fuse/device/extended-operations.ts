// The operations on extended attributes. Two are really two questions each: with no room for an answer they ask how long
// it would be.

import { FileSystemError } from "../../filesystem/errors.ts";
import { type Answer, done } from "./answer.ts";
import * as decode from "./decode.ts";
import * as encode from "./encode.ts";
import type { Operation } from "./operation.ts";
import { type OpcodeName, XATTR_CREATE, XATTR_REPLACE } from "./protocol.ts";

function bytesOrSize(bytes: Buffer, room: number): Answer {
  if (room === 0) return { body: encode.encodeExtendedSize(bytes.length) };
  if (bytes.length > room) throw new FileSystemError("ERANGE", `${bytes.length} bytes, room for ${room}`);
  return { body: encode.encodeEmpty(), data: bytes };
}

function setMode(flags: number): "any" | "create" | "replace" {
  if (flags === 0) return "any";
  if (flags === XATTR_CREATE) return "create";
  if (flags === XATTR_REPLACE) return "replace";
  throw new FileSystemError("EINVAL", `setxattr with flags ${flags} is not known`);
}

/** By opcode. */
export const extendedOperations = {
  GETXATTR: async (fileSystem, call, bytes) => {
    const { name, room } = decode.decodeGetExtended(bytes);
    return bytesOrSize(await fileSystem.getExtendedAttribute(call, call.inode, name), room);
  },

  LISTXATTR: async (fileSystem, call, bytes) => {
    const room = decode.decodeRoom(bytes);
    const names = await fileSystem.listExtendedAttributes(call, call.inode);
    return bytesOrSize(Buffer.from(names.map((name) => `${name}\0`).join("")), room);
  },

  SETXATTR: async (fileSystem, call, bytes) => {
    const { name, value, flags } = decode.decodeSetExtended(bytes);
    await fileSystem.setExtendedAttribute(call, call.inode, name, value, setMode(flags));
    return done();
  },

  REMOVEXATTR: async (fileSystem, call, bytes) => {
    await fileSystem.removeExtendedAttribute(call, call.inode, decode.decodeName(bytes));
    return done();
  },
} satisfies Partial<Record<OpcodeName, Operation>>;
