// The operations on names and attributes: from a request to the file system's method and back to an answer.

import { FileSystemError } from "../../filesystem/errors.ts";
import type { Entry, FileSystem, RenameFlag } from "../../filesystem/filesystem.ts";
import { type Answer, done } from "./answer.ts";
import type { Call } from "./call.ts";
import * as decode from "./decode.ts";
import * as encode from "./encode.ts";
import type { Operation } from "./operation.ts";
import { type OpcodeName, RENAME_EXCHANGE, RENAME_NOREPLACE } from "./protocol.ts";

function entryAnswer(fileSystem: FileSystem, entry: Entry): Answer {
  return { body: encode.encodeEntry(entry), undo: () => fileSystem.forget(entry.attributes.inode, 1) };
}

async function rename(fileSystem: FileSystem, call: Call, request: decode.RenameRequest): Promise<Answer> {
  const { newParent, oldName, newName } = request;
  await fileSystem.rename(call, call.inode, oldName, newParent, newName, renameFlag(request.flags));
  return done();
}

function renameFlag(flags: number): RenameFlag {
  if (flags === 0) return "replace";
  if (flags === RENAME_NOREPLACE) return "no-replace";
  if (flags === RENAME_EXCHANGE) return "exchange";
  throw new FileSystemError("EINVAL", `rename with flags ${flags} is not supported`);
}

/** By opcode. */
export const nameOperations = {
  LOOKUP: async (fileSystem, call, bytes) =>
    entryAnswer(fileSystem, await fileSystem.lookup(call, call.inode, decode.decodeName(bytes))),

  GETATTR: async (fileSystem, call, bytes) => ({
    body: encode.encodeAttributes(
      await fileSystem.getAttributes(call, call.inode, decode.decodeGetAttributes(bytes)),
    ),
  }),

  SETATTR: async (fileSystem, call, bytes) => {
    const { changes, handle } = decode.decodeSetAttributes(bytes);
    return {
      body: encode.encodeAttributes(await fileSystem.setAttributes(call, call.inode, changes, handle)),
    };
  },

  READLINK: async (fileSystem, call) => ({
    body: encode.encodeBytes(await fileSystem.readLink(call, call.inode)),
  }),

  SYMLINK: async (fileSystem, call, bytes) => {
    const [name, target] = decode.decodeTwoNames(bytes);
    return entryAnswer(fileSystem, await fileSystem.symlink(call, call.inode, name, target));
  },

  MKNOD: async (fileSystem, call, bytes) => {
    const { name, mode, umask, deviceNumber } = decode.decodeMakeNode(bytes);
    return entryAnswer(
      fileSystem,
      await fileSystem.makeNode(call, call.inode, name, mode, umask, deviceNumber),
    );
  },

  MKDIR: async (fileSystem, call, bytes) => {
    const { name, mode, umask } = decode.decodeMakeDirectory(bytes);
    return entryAnswer(fileSystem, await fileSystem.makeDirectory(call, call.inode, name, mode, umask));
  },

  UNLINK: async (fileSystem, call, bytes) => {
    await fileSystem.unlink(call, call.inode, decode.decodeName(bytes));
    return done();
  },

  RMDIR: async (fileSystem, call, bytes) => {
    await fileSystem.removeDirectory(call, call.inode, decode.decodeName(bytes));
    return done();
  },

  RENAME: (fileSystem, call, bytes) => rename(fileSystem, call, decode.decodeRename(bytes)),
  RENAME2: (fileSystem, call, bytes) => rename(fileSystem, call, decode.decodeRename2(bytes)),

  LINK: async (fileSystem, call, bytes) => {
    const { inode, newName } = decode.decodeLink(bytes);
    return entryAnswer(fileSystem, await fileSystem.link(call, inode, call.inode, newName));
  },

  STATFS: async (fileSystem, call) => ({ body: encode.encodeStatistics(await fileSystem.statistics(call)) }),

  DESTROY: async () => done(),
} satisfies Partial<Record<OpcodeName, Operation>>;
