// The native channel: a mount made and served through libfuse 2 (the addon of fuse-native), over the same FileSystem
// as the device channel.
//
// libfuse serves from threads of its own, each of which waits while the event loop carries out what it brought. This
// process must never touch the mount it serves.

import { FileSystemError } from "../../filesystem/errors.ts";
import type { FileSystem, Kernel } from "../../filesystem/filesystem.ts";
import { withoutSignals } from "../../lib/system-calls.ts";
import type { Log } from "../../telemetry/log.ts";
import { type Addon, EXTENDED_OPERATIONS, type Handler, loadAddon, OPERATIONS } from "./addon.ts";
import { ClosingProcess } from "./closing-process.ts";
import { keepingDeviceFromPrograms } from "./device-descriptor.ts";
import { Dispatcher } from "./dispatch.ts";
import { HiddenFiles } from "./hidden-files.ts";
import { KnownFolders } from "./known-folders.ts";
import { allowTimesLeftOut } from "./libfuse.ts";
import { OpenVersions } from "./open-versions.ts";
import { Paths } from "./paths.ts";
import { sharedMode } from "./shared-mode.ts";
import { ThreadRecords } from "./thread-records.ts";

/** The addon copies path and options into fields of 1024 bytes. */
const TEXT_MAX_BYTES = 1023;
const HANDLERS = 35;

export interface NativeOptions {
  /** An empty folder: absolute, without links. */
  readonly directory: string;
  /** What `df` and `mount` show as the device. */
  readonly source: string;
  /** What they show as the type is `fuse.` and this. */
  readonly subtype: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  /** Owner and group of whatever is made through the mount: libfuse does not tell who makes it. */
  readonly uid: number;
  readonly gid: number;
  /** What others may be allowed to do with what is made through the mount (shared-mode.ts). */
  readonly fileMode: number;
  readonly directoryMode: number;
  /** The device number of the mount once it is there, as mountinfo has it: `0:51`. */
  readonly device: () => string | undefined;
  /** Whether `fileSystem` has extended attributes. */
  readonly extendedAttributes: boolean;
  readonly fileSystem: FileSystem;
  readonly log: Log;
}

export interface NativeChannel {
  /** Resolves when programs can use the folder. Rejects with AddonUnavailable, or when it cannot be mounted. */
  readonly started: Promise<void>;
  /** Waits for what is carried out late, and puts nothing off any more. To be called before changes are refused. */
  settle(): Promise<void>;
  /** Answers everything that still comes with an error, and lets the process end. To be called after unmounting. */
  close(): void;
  /** How many operations came, by name. */
  requestCounts(): Record<string, number>;
  /** How many threads of libfuse are known. */
  threads(): number;
}

/** libfuse did not mount. It says no more than that. */
export class NativeMountFailed extends Error {
  override readonly name = "NativeMountFailed";
  readonly remedy =
    "Look at what fusermount says on stderr. It refuses some kinds of file systems to mount on; root may mount anywhere.";

  constructor(directory: string, cause: unknown) {
    super(`libfuse could not mount on ${directory}`, { cause });
  }
}

/** Mounts and serves. It is unmounted from outside. */
export function serveNative(options: NativeOptions): NativeChannel {
  const { fileSystem, log, uid, gid, allowOther, fileMode, directoryMode } = options;
  const caller = { uid, gid, pid: 0 };
  const hidden = new HiddenFiles(({ folder, name }) => fileSystem.unlink(caller, folder, name), log);
  const folders = new KnownFolders(
    (inode) => fileSystem.forget(inode, 1),
    () => performance.now(),
  );
  const versions = new OpenVersions(() => performance.now());
  const paths = new Paths(fileSystem, caller, { hidden, folders, versions });
  const modeOf = (kind: "file" | "directory", mode: number): number =>
    allowOther ? sharedMode(mode, kind === "file" ? fileMode : directoryMode) : mode;
  const closing = new ClosingProcess(options.device, () => performance.now());
  const served = { fileSystem, paths, caller, closing, modeOf };
  const started = Promise.withResolvers<void>();
  started.promise.catch(() => {}); // whoever waits for it reports it
  let dispatcher: Dispatcher | undefined;
  let mounted: Mounted | undefined;
  try {
    const { addon, threadsWatched } = loadAddon((record) => mounted?.records.release(record));
    if (!threadsWatched)
      log.warn("libfuse's threads cannot be watched: a busy mount becomes slower with time");
    fileSystem.attach(kernelWith(folders));
    dispatcher = new Dispatcher(addon, served, log, () => started.resolve());
    mounted = mount(addon, dispatcher, options);
  } catch (error) {
    started.reject(error);
  }
  return {
    started: started.promise,
    settle: () => {
      hidden.refuse();
      return hidden.settleAll();
    },
    close: () => {
      dispatcher?.refuse();
      folders.clear();
      mounted?.letGo();
    },
    requestCounts: () => Object.fromEntries(dispatcher?.counts ?? []),
    threads: () => mounted?.records.count ?? 0,
  };
}

/** libfuse 2 has no way to tell the kernel what changed, so the kernel is told to remember nothing. */
function kernelWith(folders: KnownFolders): Kernel {
  return {
    shareFile: () => undefined,
    canExpireNamesAtOnce: () => false,
    unshareFile: () => {},
    entryChanged: async (folder, name) => folders.drop({ folder, name }),
    attributesChanged: () => Promise.resolve(),
  };
}

interface Mounted {
  readonly records: ThreadRecords;
  letGo(): void;
}

function mount(addon: Addon, dispatcher: Dispatcher, options: NativeOptions): Mounted {
  const { directory } = options;
  const text = `-o${mountOptions(options).join(",")}`;
  for (const each of [directory, text]) {
    if (Buffer.byteLength(each) > TEXT_MAX_BYTES)
      throw new FileSystemError("ENAMETOOLONG", `too long for libfuse 2: ${each}`);
  }
  const thread = Buffer.alloc(addon.sizeof_fuse_thread_t);
  const handlers: Handler[] = Array.from({ length: HANDLERS }, () => () => {});
  const implemented = new Uint32Array(HANDLERS);
  for (const name of OPERATIONS) {
    if (EXTENDED_OPERATIONS.has(name) && !options.extendedAttributes) continue;
    handlers[addon[`op_${name}`]] = dispatcher.handler(name);
    implemented[addon[`op_${name}`]] = 1;
  }
  const records = new ThreadRecords(thread);
  const allocate = (size: number): Buffer => records.allocate(size);
  try {
    // libfuse's threads use these buffers; the addon holds on to the context only.
    const context = { thread, records };
    // At its end libfuse cancels its threads. One that runs Node's handler of a signal just then (SIGCHLD of fusermount) waits
    // for itself, in glibc, and the mount never ends.
    keepingDeviceFromPrograms(() =>
      withoutSignals(() =>
        addon.fuse_native_mount(directory, text, thread, context, allocate, handlers, implemented),
      ),
    );
  } catch (error) {
    throw new NativeMountFailed(directory, error); // what libfuse and fusermount have to say they say on stderr
  }
  if (!allowTimesLeftOut(thread))
    options.log.warn("programs that set one of a file's two times only will find that it was not set");
  return { records, letGo: () => addon.fuse_native_unmount(directory, thread) };
}

function mountOptions({ source, subtype, readOnly, allowOther }: NativeOptions): string[] {
  return [
    `fsname=${source.replaceAll(/[,\\\s]/g, "_")}`, // would need quoting, by libfuse and again by fusermount
    `subtype=${subtype}`,
    "nosuid",
    "nodev",
    ...(readOnly ? ["ro"] : []),
    ...(allowOther ? ["allow_other"] : []),
    "default_permissions", // the kernel checks owner and mode
    "use_ino", // our inode numbers instead of libfuse's
    "big_writes", // requests of 128 KiB instead of one page
    "atomic_o_trunc", // open carries O_TRUNC: nothing is downloaded to be truncated
    "no_remote_lock", // the kernel keeps both kinds of locks for this machine by itself
    // Nobody can tell the kernel that something has changed. So it asks each time, and what is trusted without
    // asking the bucket is decided by the file system alone.
    "entry_timeout=0",
    "attr_timeout=0",
    "negative_timeout=0",
  ];
}
