// The operations on paths: from what libfuse calls them to the file system's methods.

import { FileSystemError } from "../../filesystem/errors.ts";
import type { Caller, FileSystem, InodeId, SetAttributes } from "../../filesystem/filesystem.ts";
import type { OperationName } from "./addon.ts";
import { encodeEntry, encodeStat, encodeStatistics } from "./encode.ts";
import { isHiddenName } from "./hidden-files.ts";
import { done, type Operation, wide } from "./operation.ts";
import type { Paths, Place } from "./paths.ts";
import type { ThreadRecord } from "./record.ts";

/** The kernel has applied the umask already. */
const NO_UMASK = 0;
/** `(uid_t) -1`: not to be changed. */
const UNCHANGED = 0xffff_ffff;
const NS_OF_MS = 1_000_000n;

export interface Served {
  readonly fileSystem: FileSystem;
  readonly paths: Paths;
  /** libfuse does not tell who calls: everybody is this one. */
  readonly caller: Caller;
}

/** By the name the addon has for them. */
export function nameOperations({ fileSystem, paths, caller }: Served) {
  const { hidden } = paths;

  /** Runs what gives a name to something new, and gives back the look-up it counts. */
  const make = (path: string, create: (place: Place) => Promise<{ attributes: { inode: InodeId } }>) =>
    paths.below(path, async (place) => {
      await hidden.settle(place);
      const { attributes } = await create(place);
      fileSystem.forget(attributes.inode, 1);
      return done();
    });

  const change = (path: string, changes: SetAttributes) =>
    paths.at(path, async (inode) => {
      await fileSystem.setAttributes(caller, inode, changes);
      return done();
    });

  const hide = (thread: ThreadRecord, from: string, to: Place) =>
    paths.below(from, (place) =>
      paths.at(from, async (inode) => {
        if (place.folder !== to.folder) throw new FileSystemError("EINVAL", "this name is taken by libfuse");
        hidden.hide(thread.bytes, place, to.name, inode);
        return done();
      }),
    );

  return {
    getattr: (_thread, path: string) =>
      paths.at(path, async (inode) =>
        done(encodeStat((await fileSystem.getAttributes(caller, inode)).attributes)),
      ),

    readdir: (_thread, path: string) =>
      paths.at(path, async (inode) => {
        const names: string[] = [];
        const stats: Uint32Array[] = [];
        const handle = await fileSystem.openDirectory(caller, inode);
        try {
          await fileSystem.readDirectory(caller, inode, handle, 0, false, (entry) => {
            if (isHiddenName(entry.name) || hidden.isGone({ folder: inode, name: entry.name })) return true;
            names.push(entry.name);
            stats.push(encodeEntry(entry.inode, entry.kind));
            return true;
          });
        } finally {
          await fileSystem.releaseDirectory(inode, handle);
        }
        return done(names, stats);
      }),

    readlink: (_thread, path: string) =>
      paths.at(path, async (inode) => done(await fileSystem.readLink(caller, inode))),

    mknod: (_thread, path: string, mode: number, device: number) =>
      make(path, ({ folder, name }) => fileSystem.makeNode(caller, folder, name, mode, NO_UMASK, device)),

    mkdir: (_thread, path: string, mode: number) =>
      make(path, ({ folder, name }) => fileSystem.makeDirectory(caller, folder, name, mode, NO_UMASK)),

    symlink: (_thread, target: string, path: string) =>
      make(path, ({ folder, name }) => fileSystem.symlink(caller, folder, name, target)),

    link: (_thread, existing: string, path: string) =>
      paths.at(existing, (inode) =>
        make(path, ({ folder, name }) => fileSystem.link(caller, inode, folder, name)),
      ),

    unlink: (thread, path: string) =>
      paths.below(path, async (place) => {
        if (isHiddenName(place.name)) await hidden.reveal(place, thread.bytes);
        else await fileSystem.unlink(caller, place.folder, place.name);
        return done();
      }),

    rmdir: (_thread, path: string) =>
      paths.below(path, async ({ folder, name }) => {
        await paths.at(path, (inode) => hidden.settleAll(inode));
        await fileSystem.removeDirectory(caller, folder, name);
        return done();
      }),

    rename: (thread, from: string, to: string) =>
      paths.below(to, async (target) => {
        if (isHiddenName(target.name)) return hide(thread, from, target);
        if (!hidden.isReplacing(thread.bytes, target)) await hidden.settle(target);
        return paths.below(from, async ({ folder, name }) => {
          await fileSystem.rename(caller, folder, name, target.folder, target.name, "replace");
          return done();
        });
      }),

    chmod: (_thread, path: string, mode: number) => change(path, { mode: mode & 0o7777 }),

    chown: (_thread, path: string, uid: number, gid: number) =>
      change(path, { ...(uid === UNCHANGED ? {} : { uid }), ...(gid === UNCHANGED ? {} : { gid }) }),

    utimens: async (thread, path: string, low: number, high: number) => {
      const { accessMs, modifyMs } = thread.times(BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)));
      return change(path, { accessTimeNs: accessMs * NS_OF_MS, modifyTimeNs: modifyMs * NS_OF_MS });
    },

    truncate: (_thread, path: string, low: number, high: number) => change(path, { size: wide(low, high) }),

    fsyncdir: (_thread, path: string) =>
      paths.at(path, async (inode) => {
        const handle = await fileSystem.openDirectory(caller, inode);
        try {
          await fileSystem.fsyncDirectory(caller, inode, handle);
        } finally {
          await fileSystem.releaseDirectory(inode, handle);
        }
        return done();
      }),

    statfs: async () => done(encodeStatistics(await fileSystem.statistics(caller))),
  } satisfies Partial<Record<OperationName, Operation>>;
}
