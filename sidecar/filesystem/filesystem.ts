// The seam between the kernel and the tree: one method per operation, in our own types, nothing of FUSE in them.
// Both channels (device, native) serve exactly this; `filesystem/` implements it over copies and a bucket.
//
// Operations reject with FileSystemError or BucketError; `fuse/errno.ts` turns either into a number.

/** Number of a file or folder within one mount; never reused while the mount lives. 1 is the root. */
export type InodeId = number & { readonly kind: "InodeId" };
/** Number of an open file or folder. */
export type HandleId = number & { readonly kind: "HandleId" };
/** Number under which the kernel serves a local file by itself; given out by the channel. */
export type BackingId = number & { readonly kind: "BackingId" };

export const ROOT_INODE = 1 as InodeId;

/** On whose behalf an operation runs. `interrupted` aborts when a fatal signal awaits the calling thread (RULES 25). */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly interrupted?: AbortSignal;
  /** Number of the request, the same when it comes again after a worker's death. */
  readonly request?: bigint | undefined;
  /** Set when an earlier worker had begun this request: its effects may be there already (RULES 18). */
  readonly begun?: Begun | undefined;
  /** Leaves something for the worker that runs it again, before an effect that must not happen twice. */
  readonly intend?: ((begun: Begun) => void) | undefined;
}

/** What the work of a request left behind before it was broken off. */
export interface Begun {
  /** Where the bytes of a write to the end were about to be put. */
  readonly position?: number;
}

export type FileKind =
  "file" | "directory" | "symlink" | "fifo" | "socket" | "character-device" | "block-device";

export interface Attributes {
  readonly inode: InodeId;
  readonly kind: FileKind;
  /** Permission bits including setuid, setgid and sticky: 0–07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Allocated 512-byte units. */
  readonly blocks: number;
  readonly linkCount: number;
  readonly accessTimeNs: bigint;
  readonly modifyTimeNs: bigint;
  readonly changeTimeNs: bigint;
  readonly deviceNumber: number;
}

/** Attributes with how long the kernel may use them without asking. */
export interface AttributesReply {
  readonly attributes: Attributes;
  readonly attributesValidMs: number;
}

/** A name's inode with how long the kernel may keep name and attributes without asking. */
export interface Entry extends AttributesReply {
  readonly entryValidMs: number;
}

/** How the kernel gets at the bytes of an open file. The mode belongs to the inode while it is open. */
export type Access =
  /** By itself, from a local file registered through `Kernel.shareFile` (passthrough). */
  | { readonly by: "kernel"; readonly backing: BackingId }
  /** From us, through its page cache. `keepCache`: pages it already has are still right. */
  | { readonly by: "daemon"; readonly keepCache: boolean };

export interface OpenedFile {
  readonly handle: HandleId;
  readonly access: Access;
  /** Closing this handle needs no flush (it cannot have changed anything). */
  readonly noFlush: boolean;
}

export interface SetAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly accessTimeNs?: bigint | "now";
  readonly modifyTimeNs?: bigint | "now";
}

/** What becomes of a range of an open file, fallocate(2). */
export interface SpaceChange {
  /** Space is reserved for it (its bytes stay), it becomes zeros, or it becomes zeros that take no space. */
  readonly kind: "reserve" | "zero" | "hole";
  /** A range beyond the end does not make the file longer. Always so for a hole. */
  readonly keepSize: boolean;
}

/** A place in an open file. */
export interface FilePosition {
  readonly inode: InodeId;
  readonly handle: HandleId;
  readonly offset: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly inode: InodeId;
  readonly kind: FileKind;
  /** Position to continue after this entry. Stable while the handle is open. */
  readonly nextOffset: number;
  /** Present when attributes were asked for; absent for `.` and `..`. */
  readonly entry: Entry | undefined;
}

export interface FileSystemStatistics {
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameLengthMax: number;
}

export type RenameFlag = "replace" | "no-replace" | "exchange";

/** What the filesystem asks of the channel above it. Calls never block and never throw. */
export interface Kernel {
  /** Registers a local file for passthrough. undefined: not possible here; serve it as daemon instead. */
  shareFile(descriptor: number): BackingId | undefined;
  unshareFile(backing: BackingId): void;
  /** The name no longer stands for what the kernel remembers. Resolves when the kernel knows (or cannot care). */
  entryChanged(parent: InodeId, name: string): Promise<void>;
  /** Attributes changed; cached data stays. */
  attributesChanged(inode: InodeId): Promise<void>;
  /** Whether the kernel can be told of changed names while a look-up in their folder is under way (RULES 27). */
  canExpireNamesAtOnce(): boolean;
}

/**
 * A mounted tree. Lookup counts: each Entry returned by lookup, create, mkdir, mknod, symlink, link and each
 * accepted readdir entry that carries one counts one; `forget` gives them back.
 */
export interface FileSystem {
  /** Called once, before the first operation. */
  attach(kernel: Kernel): void;

  lookup(caller: Caller, parent: InodeId, name: string): Promise<Entry>;
  forget(inode: InodeId, count: number): void;
  getAttributes(caller: Caller, inode: InodeId, handle?: HandleId): Promise<AttributesReply>;
  setAttributes(
    caller: Caller,
    inode: InodeId,
    changes: SetAttributes,
    handle?: HandleId,
  ): Promise<AttributesReply>;

  readLink(caller: Caller, inode: InodeId): Promise<string>;
  symlink(caller: Caller, parent: InodeId, name: string, target: string): Promise<Entry>;
  link(caller: Caller, inode: InodeId, newParent: InodeId, newName: string): Promise<Entry>;
  /** `mode` includes the file type bits (S_IFREG, S_IFIFO, …); umask not yet applied. */
  makeNode(
    caller: Caller,
    parent: InodeId,
    name: string,
    mode: number,
    umask: number,
    deviceNumber: number,
  ): Promise<Entry>;
  makeDirectory(caller: Caller, parent: InodeId, name: string, mode: number, umask: number): Promise<Entry>;
  unlink(caller: Caller, parent: InodeId, name: string): Promise<void>;
  removeDirectory(caller: Caller, parent: InodeId, name: string): Promise<void>;
  rename(
    caller: Caller,
    parent: InodeId,
    name: string,
    newParent: InodeId,
    newName: string,
    flag: RenameFlag,
  ): Promise<void>;

  /** `flags` as of open(2) (O_ACCMODE, O_TRUNC, O_APPEND, O_SYNC, …; O_CREAT and O_EXCL never come here). */
  open(caller: Caller, inode: InodeId, flags: number): Promise<OpenedFile>;
  /** `flags` as of open(2), including O_EXCL. */
  create(
    caller: Caller,
    parent: InodeId,
    name: string,
    mode: number,
    umask: number,
    flags: number,
  ): Promise<{ entry: Entry; opened: OpenedFile }>;
  read(caller: Caller, inode: InodeId, handle: HandleId, offset: number, length: number): Promise<Buffer>;
  /**
   * `data` is only valid until the promise settles. `fromMapping`: stored through a mapping and sent by any of the
   * file's handles, so its place is `offset` even if that handle appends.
   */
  write(
    caller: Caller,
    inode: InodeId,
    handle: HandleId,
    offset: number,
    data: Buffer,
    fromMapping?: boolean,
  ): Promise<number>;
  /** ENOSPC if the local disk does not have the space, ENOTSUP if its file system cannot do it. */
  changeSpace(
    caller: Caller,
    inode: InodeId,
    handle: HandleId,
    change: SpaceChange,
    offset: number,
    length: number,
  ): Promise<void>;
  /** Where data, or a hole, starts at or after `offset`. The end of the file is a hole. ENXIO if there is none. */
  seek(
    caller: Caller,
    inode: InodeId,
    handle: HandleId,
    offset: number,
    target: "data" | "hole",
  ): Promise<number>;
  /** Copies within the mount. Answers how many bytes, which may be fewer than `length`; 0 at the end of the source. */
  copyRange(caller: Caller, from: FilePosition, to: FilePosition, length: number): Promise<number>;
  flush(caller: Caller, inode: InodeId, handle: HandleId): Promise<void>;
  fsync(caller: Caller, inode: InodeId, handle: HandleId, dataOnly: boolean): Promise<void>;
  release(inode: InodeId, handle: HandleId): Promise<void>;

  // Extended attributes. Each rejects with ENOSYS where there are none at all, ENOTSUP for a name that cannot be kept.
  getExtendedAttribute(caller: Caller, inode: InodeId, name: string): Promise<Buffer>;
  listExtendedAttributes(caller: Caller, inode: InodeId): Promise<readonly string[]>;
  /**
   * EEXIST where it must be new and is there, ENODATA where it must be there and is not, ENOSPC above what fits. `value` is
   * only valid until the promise settles.
   */
  setExtendedAttribute(
    caller: Caller,
    inode: InodeId,
    name: string,
    value: Buffer,
    mode: "any" | "create" | "replace",
  ): Promise<void>;
  removeExtendedAttribute(caller: Caller, inode: InodeId, name: string): Promise<void>;

  openDirectory(caller: Caller, inode: InodeId): Promise<HandleId>;
  /** Offers entries after `offset` one by one until `accept` answers false or the folder ends. */
  readDirectory(
    caller: Caller,
    inode: InodeId,
    handle: HandleId,
    offset: number,
    withAttributes: boolean,
    accept: (entry: DirectoryEntry) => boolean,
  ): Promise<void>;
  fsyncDirectory(caller: Caller, inode: InodeId, handle: HandleId): Promise<void>;
  releaseDirectory(inode: InodeId, handle: HandleId): Promise<void>;

  statistics(caller: Caller): Promise<FileSystemStatistics>;

  /** New writable opens are refused with EROFS from now on; those that are open may finish (RULES 31). */
  refuseWrites(): void;
  /** Uploads what is owed, stops background work, closes state. */
  shutdown(): Promise<void>;
}
