// The operations on open files. They use what was opened, not the path: that may lead to another file by now.

import { constants } from "node:fs";

import { FileSystemError } from "../../filesystem/errors.ts";
import type { InodeId, OpenedFile } from "../../filesystem/filesystem.ts";
import type { Log } from "../../telemetry/log.ts";
import type { OperationName } from "./addon.ts";
import { Handles } from "./handles.ts";
import type { Served } from "./name-operations.ts";
import { done, type Operation, stat, transferred, wide } from "./operation.ts";
import type { Place } from "./paths.ts";
import type { ThreadRecord } from "./record.ts";

const { O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_TRUNC } = constants;
const O_ACCMODE = 3;
const NO_UMASK = 0;

/** By the name the addon has for them. `log` gets the failures that no answer can carry. */
export function fileOperations({ fileSystem, paths, caller, modeOf, closing }: Served, log: Log) {
  const handles = new Handles();

  const { hidden, versions } = paths.known;

  const admit = async (
    thread: ThreadRecord,
    place: Place,
    inode: InodeId,
    flags: number,
    { handle }: OpenedFile,
  ) => {
    // For the kernel a name is one file with one set of pages, whatever versions of it are open. A reader must see
    // one version only, so its reads come here. Who writes may map the file too, and changes the newest version;
    // but while an older one is open, a mapping of that could fill the pages it would use.
    const { besideOthers, onClose } = await versions.admit(place, inode);
    if ((flags & O_ACCMODE) === O_RDONLY || besideOthers) thread.answerDirectIo();
    return done(handles.add({ inode, handle, untouched: isRedirection(flags), flushed: false, onClose }));
  };

  return {
    fgetattr: async (_thread, _path: string, number: number) => {
      const { inode, handle } = handles.get(number);
      return stat((await fileSystem.getAttributes(caller, inode, handle)).attributes);
    },

    open: (thread, path: string, flags: number) =>
      onceMoreIfStale(() =>
        paths.below(path, (place) =>
          paths.at(path, async (inode) => {
            const opened = await fileSystem.open(caller, inode, flags);
            return admit(thread, place, inode, flags, opened);
          }),
        ),
      ),

    create: (thread, path: string, mode: number) =>
      paths.below(path, async (place) => {
        const flags = thread.openFlags();
        await hidden.settle(place);
        const { folder, name } = place;
        const permissions = modeOf("file", mode);
        const { entry, opened } = await fileSystem.create(caller, folder, name, permissions, NO_UMASK, flags);
        const { inode } = entry.attributes;
        fileSystem.forget(inode, 1); // the open handle keeps it
        return admit(thread, place, inode, flags, opened);
      }),

    read: async (
      _thread,
      _path: string,
      number: number,
      into: Buffer,
      length: number,
      low: number,
      high: number,
    ) => {
      const { inode, handle } = handles.get(number);
      const data = await fileSystem.read(caller, inode, handle, wide(low, high), length);
      return transferred(data.copy(into), into);
    },

    write: async (
      thread,
      _path: string,
      number: number,
      data: Buffer,
      _length: number,
      low: number,
      high: number,
    ) => {
      const opened = handles.get(number);
      opened.untouched = false;
      const { inode, handle } = opened;
      const offset = wide(low, high);
      const written = await fileSystem.write(caller, inode, handle, offset, data, thread.isFromMapping());
      return transferred(written, data);
    },

    ftruncate: async (_thread, _path: string, number: number, low: number, high: number) => {
      const opened = handles.get(number);
      opened.untouched = false;
      const { inode, handle } = opened;
      await fileSystem.setAttributes(caller, inode, { size: wide(low, high) }, handle);
      return done();
    },

    flush: async (_thread, _path: string, number: number) => {
      const opened = handles.get(number);
      opened.flushed = true;
      const { inode, handle, untouched } = opened;
      const pid = untouched ? await closing.of(inode) : caller.pid;
      await fileSystem.flush({ ...caller, pid }, inode, handle);
      return done();
    },

    fsync: async (_thread, _path: string, dataOnly: number, number: number) => {
      const { inode, handle } = handles.get(number);
      await fileSystem.fsync(caller, inode, handle, dataOnly !== 0);
      return done();
    },

    // No program hears of it, and while it lasts libfuse lets nobody change the name.
    release: async (_thread, _path: string, number: number) => {
      const { inode, handle, flushed, onClose } = handles.take(number);
      onClose();
      // The end of mknod, which has yet to be answered.
      if (!flushed) {
        await fileSystem.fsync(caller, inode, handle, false).catch((error: unknown) => {
          log.error({ err: error, inode }, "a file made by mknod could not be stored");
        });
      }
      fileSystem.release(inode, handle).catch((error: unknown) => {
        log.error({ err: error, inode }, "closing an open file failed");
      });
      return done();
    },
  } satisfies Partial<Record<OperationName, Operation>>;
}

/** Opened empty, and as shells do: not as mktemp (O_EXCL) or touch (O_NONBLOCK). */
function isRedirection(flags: number): boolean {
  const writes = (flags & O_ACCMODE) !== O_RDONLY;
  return writes && (flags & (O_CREAT | O_TRUNC)) !== 0 && (flags & (O_EXCL | O_NONBLOCK)) === 0;
}

/**
 * An open that learns of a newer version says ESTALE (RULES 24). The kernel would ask again too, but by the name it
 * knows, and between its look-up and its open we would look the name up once more and might find a newer one still.
 */
async function onceMoreIfStale<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FileSystemError) || error.code !== "ESTALE") throw error;
    return work();
  }
}
