// The operations on paths: from what libfuse calls them to the file system's methods.

import { FileSystemError } from "../../filesystem/errors.ts";
import type {
  Caller,
  DirectoryEntry,
  FileSystem,
  InodeId,
  SetAttributes,
} from "../../filesystem/filesystem.ts";
import type { OperationName } from "./addon.ts";
import type { ClosingProcess } from "./closing-process.ts";
import { encodeListing, encodeStatistics } from "./encode.ts";
import { isHiddenName } from "./hidden-files.ts";
import { LEFT_OR_NOW_MS } from "./libfuse.ts";
import { done, type Operation, stat, wide } from "./operation.ts";
import { lastNameOf, type Paths, type Place } from "./paths.ts";
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
  readonly closing: ClosingProcess;
  /** The permissions something new gets when a program asks for these. */
  readonly modeOf: (kind: "file" | "directory", mode: number) => number;
}

/** By the name the addon has for them. */
export function nameOperations({ fileSystem, paths, caller, modeOf }: Served) {
  const { hidden, folders, versions } = paths.known;

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
        hidden.hide(thread.bytes, place, to.name, versions.openInode(place) ?? inode);
        versions.drop(place);
        return done();
      }),
    );

  return {
    getattr: (_thread, path: string) =>
      paths.lookAt(path, async (inode) => stat((await fileSystem.getAttributes(caller, inode)).attributes)),

    readdir: (_thread, path: string) =>
      paths.at(path, async (inode) => {
        const entries: DirectoryEntry[] = [];
        const handle = await fileSystem.openDirectory(caller, inode);
        try {
          await fileSystem.readDirectory(caller, inode, handle, 0, false, (entry) => {
            if (isHiddenName(entry.name) || hidden.isGone({ folder: inode, name: entry.name })) return true;
            entries.push(entry);
            return true;
          });
        } finally {
          await fileSystem.releaseDirectory(inode, handle);
        }
        return done(...encodeListing(entries));
      }),

    readlink: (_thread, path: string) =>
      paths.at(path, async (inode) => done(await fileSystem.readLink(caller, inode))),

    mknod: (_thread, path: string, mode: number, device: number) =>
      make(path, ({ folder, name }) =>
        fileSystem.makeNode(caller, folder, name, modeOf("file", mode), NO_UMASK, device),
      ),

    mkdir: (_thread, path: string, mode: number) =>
      make(path, ({ folder, name }) =>
        fileSystem.makeDirectory(caller, folder, name, modeOf("directory", mode), NO_UMASK),
      ),

    symlink: (_thread, target: string, path: string) =>
      make(path, ({ folder, name }) => fileSystem.symlink(caller, folder, name, target)),

    link: (_thread, existing: string, path: string) =>
      paths.at(existing, (inode) =>
        make(path, ({ folder, name }) => fileSystem.link(caller, inode, folder, name)),
      ),

    unlink: async (thread, path: string) => {
      const hiddenName = lastNameOf(path);
      if (isHiddenName(hiddenName)) await hidden.reveal(hiddenName, thread.bytes);
      else await paths.below(path, ({ folder, name }) => fileSystem.unlink(caller, folder, name));
      return done();
    },

    rmdir: (_thread, path: string) =>
      paths.below(path, async ({ folder, name }) => {
        await paths.at(path, (inode) => hidden.settleAll(inode));
        await fileSystem.removeDirectory(caller, folder, name);
        folders.drop({ folder, name });
        return done();
      }),

    rename: async (thread, from: string, to: string) => {
      const held = hidden.hold(thread.bytes, lastNameOf(to));
      try {
        return await paths.below(to, async (target) => {
          if (isHiddenName(target.name)) return hide(thread, from, target);
          if (!hidden.isReplacing(held, target)) await hidden.settle(target);
          return paths.below(from, async (source) => {
            await fileSystem.rename(
              caller,
              source.folder,
              source.name,
              target.folder,
              target.name,
              "replace",
            );
            for (const place of [source, target]) folders.drop(place);
            versions.rename(source, target);
            return done();
          });
        });
      } finally {
        hidden.letGo(held);
      }
    },

    chmod: (_thread, path: string, mode: number) => change(path, { mode: mode & 0o7777 }),

    chown: (_thread, path: string, uid: number, gid: number) =>
      change(path, { ...(uid === UNCHANGED ? {} : { uid }), ...(gid === UNCHANGED ? {} : { gid }) }),

    utimens: async (thread, path: string, low: number, high: number) => {
      return change(path, timesOf(thread.times(BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)))));
    },

    truncate: (_thread, path: string, low: number, high: number) => change(path, { size: wide(low, high) }),

    fsyncdir: (_thread, path: string) =>
      paths.at(path, async (inode) => {
        await hidden.settleAll(inode);
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

/** Which of the two times change, and to what. Where both are "left or now", it is `touch`: both are now. */
function timesOf({ accessMs, modifyMs }: { accessMs: bigint; modifyMs: bigint }): SetAttributes {
  if (accessMs === LEFT_OR_NOW_MS && modifyMs === LEFT_OR_NOW_MS)
    return { accessTimeNs: "now", modifyTimeNs: "now" };
  return {
    ...(accessMs === LEFT_OR_NOW_MS ? {} : { accessTimeNs: accessMs * NS_OF_MS }),
    ...(modifyMs === LEFT_OR_NOW_MS ? {} : { modifyTimeNs: modifyMs * NS_OF_MS }),
  };
}
