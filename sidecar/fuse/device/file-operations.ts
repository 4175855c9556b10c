// The operations on open files and folders.

import { FileSystemError } from "../../filesystem/errors.ts";
import type { FileSystem, SpaceChange } from "../../filesystem/filesystem.ts";
import type { Log } from "../../telemetry/log.ts";
import { type Answer, done } from "./answer.ts";
import type { Call } from "./call.ts";
import * as decode from "./decode.ts";
import * as encode from "./encode.ts";
import { Listing } from "./listing.ts";
import type { Operation } from "./operation.ts";
import { FALLOC, FSYNC_FDATASYNC, type OpcodeName, SEEK } from "./protocol.ts";

async function list(
  fileSystem: FileSystem,
  call: Call,
  { handle, offset, size }: decode.ReadRequest,
  withAttributes: boolean,
): Promise<Answer> {
  const listing = new Listing(size, withAttributes);
  const undo = () => {
    for (const inode of listing.lookedUp) fileSystem.forget(inode, 1);
  };
  try {
    await fileSystem.readDirectory(call, call.inode, handle, offset, withAttributes, (entry) =>
      listing.accept(entry),
    );
    if (listing.tooSmall) throw new FileSystemError("EINVAL", `no entry fits into ${size} bytes`);
  } catch (error) {
    undo(); // what was taken before the error was counted
    throw error;
  }
  return { body: listing.answer, undo };
}

/** Of fallocate(2), what can be done. The kernel lets nothing else through, but that may change. */
function spaceChange(mode: number): SpaceChange {
  const keepSize = (mode & FALLOC.KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC.KEEP_SIZE) {
    case 0:
      return { kind: "reserve", keepSize };
    case FALLOC.ZERO_RANGE:
      return { kind: "zero", keepSize };
    case FALLOC.PUNCH_HOLE:
      if (keepSize) return { kind: "hole", keepSize };
  }
  throw new FileSystemError("ENOTSUP", `fallocate with mode ${mode} is not supported`);
}

async function copyRange(fileSystem: FileSystem, call: Call, bytes: Buffer): Promise<number> {
  const { from, to, length, flags } = decode.decodeCopyRange(bytes);
  if (flags !== 0) throw new FileSystemError("EINVAL", `copy_file_range with flags ${flags} is not known`);
  return fileSystem.copyRange(call, { ...from, inode: call.inode }, to, length);
}

/** By opcode. `log` gets the failures that no answer can carry. */
export function fileOperations(log: Log) {
  // The kernel tells no program how closing for good went, and RELEASE requests in flight take the places of
  // read-ahead. So it is answered once it has begun.
  const inBackground = (work: Promise<void>, inode: number, again = false) => {
    work.catch((error: unknown) => {
      if (again && error instanceof FileSystemError && error.code === "EBADF") return; // it had been closed
      log.error({ err: error, inode }, "closing an open file or folder failed");
    });
    return Promise.resolve(done());
  };

  return {
    OPEN: async (fileSystem, call, bytes) => {
      const opened = await fileSystem.open(call, call.inode, decode.decodeOpen(bytes));
      const undo = () => void inBackground(fileSystem.release(call.inode, opened.handle), call.inode);
      return { body: encode.encodeOpened(opened), undo };
    },

    CREATE: async (fileSystem, call, bytes) => {
      const { name, mode, umask, flags } = decode.decodeCreate(bytes);
      const { entry, opened } = await fileSystem.create(call, call.inode, name, mode, umask, flags);
      const { inode } = entry.attributes;
      const undo = () => {
        void inBackground(fileSystem.release(inode, opened.handle), inode);
        fileSystem.forget(inode, 1);
      };
      return { body: encode.encodeCreated(entry, opened), undo };
    },

    READ: async (fileSystem, call, bytes) => {
      const { handle, offset, size } = decode.decodeRead(bytes);
      const data = await fileSystem.read(call, call.inode, handle, offset, size);
      return { body: encode.encodeEmpty(), data: data.length > size ? data.subarray(0, size) : data };
    },

    WRITE: async (fileSystem, call, bytes) => {
      const { handle, offset, data, fromMapping } = decode.decodeWrite(bytes);
      return {
        body: encode.encodeWritten(
          await fileSystem.write(call, call.inode, handle, offset, data, fromMapping),
        ),
      };
    },

    FLUSH: async (fileSystem, call, bytes) => {
      await fileSystem.flush(call, call.inode, decode.decodeHandle(bytes));
      return done();
    },

    FSYNC: async (fileSystem, call, bytes) => {
      const { handle, flags } = decode.decodeFsync(bytes);
      await fileSystem.fsync(call, call.inode, handle, (flags & FSYNC_FDATASYNC) !== 0);
      return done();
    },

    FALLOCATE: async (fileSystem, call, bytes) => {
      const { handle, offset, length, mode } = decode.decodeFallocate(bytes);
      await fileSystem.changeSpace(call, call.inode, handle, spaceChange(mode), offset, length);
      return done();
    },

    // Kernels before 6.18 know only this one, and ask for less than 4 GiB at a time.
    COPY_FILE_RANGE: async (fileSystem, call, bytes) => ({
      body: encode.encodeWritten(await copyRange(fileSystem, call, bytes)),
    }),
    COPY_FILE_RANGE_64: async (fileSystem, call, bytes) => ({
      body: encode.encodeCopied(await copyRange(fileSystem, call, bytes)),
    }),

    LSEEK: async (fileSystem, call, bytes) => {
      const { handle, offset, whence } = decode.decodeSeek(bytes);
      const target = whence === SEEK.DATA ? "data" : whence === SEEK.HOLE ? "hole" : undefined;
      if (target === undefined) throw new FileSystemError("EINVAL", `lseek by ${whence} is not known`);
      return {
        body: encode.encodeSought(await fileSystem.seek(call, call.inode, handle, offset, target)),
      };
    },

    RELEASE: (fileSystem, call, bytes) =>
      inBackground(fileSystem.release(call.inode, decode.decodeHandle(bytes)), call.inode, call.again),

    OPENDIR: async (fileSystem, call) => {
      const handle = await fileSystem.openDirectory(call, call.inode);
      const undo = () => void inBackground(fileSystem.releaseDirectory(call.inode, handle), call.inode);
      return { body: encode.encodeOpenedDirectory(handle), undo };
    },

    READDIR: (fileSystem, call, bytes) => list(fileSystem, call, decode.decodeRead(bytes), false),
    READDIRPLUS: (fileSystem, call, bytes) => list(fileSystem, call, decode.decodeRead(bytes), true),

    FSYNCDIR: async (fileSystem, call, bytes) => {
      await fileSystem.fsyncDirectory(call, call.inode, decode.decodeFsync(bytes).handle);
      return done();
    },

    RELEASEDIR: (fileSystem, call, bytes) =>
      inBackground(fileSystem.releaseDirectory(call.inode, decode.decodeHandle(bytes)), call.inode),
  } satisfies Partial<Record<OpcodeName, Operation>>;
}
