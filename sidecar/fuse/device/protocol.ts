// Numbers of the FUSE kernel interface. Source: include/uapi/linux/fuse.h, protocol 7.45 (Linux 6.18); every
// name is the header's with its prefix left off. Opcodes and structures up to 7.38 are also in Debian's headers.

export const MAJOR_VERSION = 7;
/** The newest minor version whose structure layouts are implemented here. */
export const MINOR_VERSION = 45;

export const IN_HEADER_SIZE = 40; // fuse_in_header
export const OUT_HEADER_SIZE = 16; // fuse_out_header
export const ATTR_SIZE = 88; // fuse_attr
export const ATTR_OUT_SIZE = 16 + ATTR_SIZE; // fuse_attr_out
export const ENTRY_OUT_SIZE = 40 + ATTR_SIZE; // fuse_entry_out
export const OPEN_OUT_SIZE = 16; // fuse_open_out
export const INIT_OUT_SIZE = 64; // fuse_init_out
export const STATFS_OUT_SIZE = 80; // fuse_statfs_out
export const WRITE_IN_SIZE = 40; // fuse_write_in
export const WRITE_OUT_SIZE = 8; // fuse_write_out
export const COPY_FILE_RANGE_OUT_SIZE = 8; // fuse_copy_file_range_out
export const GETXATTR_IN_SIZE = 8; // fuse_getxattr_in
export const GETXATTR_OUT_SIZE = 8; // fuse_getxattr_out
export const SETXATTR_IN_SIZE = 8; // fuse_setxattr_in as long as SETXATTR_EXT was not asked for
export const LSEEK_OUT_SIZE = 8; // fuse_lseek_out
export const DIRENT_SIZE = 24; // fuse_dirent without its name

/** What a read of the device must have room for beyond max_write: in_header + write_in, a page in practice. */
export const READ_OVERHEAD = 4096;

/** enum fuse_opcode. */
export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2, // no answer
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36, // an answer is optional
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41, // no answer
  BATCH_FORGET: 42, // no answer
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

export type OpcodeName = keyof typeof OPCODE;

const nameOf = new Map<number, OpcodeName>(
  Object.entries(OPCODE).map(([name, number]) => [number, name as OpcodeName]),
);

/** The name of an opcode; undefined for one newer than this table. */
export function opcodeName(opcode: number): OpcodeName | undefined {
  return nameOf.get(opcode);
}

/** Flags of INIT; those from bit 32 on travel in `flags2`, written here as bits of that word. */
export const INIT = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  HANDLE_KILLPRIV: 1 << 19,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  INIT_EXT: 1 << 30,
} as const;

export const INIT2 = {
  HAS_EXPIRE_ONLY: 1 << 3, // bit 35
  DIRECT_IO_ALLOW_MMAP: 1 << 4, // bit 36
  PASSTHROUGH: 1 << 5, // bit 37
  HAS_RESEND: 1 << 7, // bit 39
} as const;

/** Flags of the answer to OPEN and CREATE. */
export const FOPEN = {
  KEEP_CACHE: 1 << 1,
  NOFLUSH: 1 << 5,
  PASSTHROUGH: 1 << 7,
} as const;

/** Bits of fuse_setattr_in.valid. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
} as const;

export const GETATTR_FH = 1 << 0;
/** In fuse_write_in: pages that were stored to through a mapping, by whichever handle the kernel found. */
export const WRITE_CACHE = 1 << 0;
export const FSYNC_FDATASYNC = 1 << 0;
/** Flags of rename(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** Modes of fallocate(2) that the kernel passes on, <linux/falloc.h>. */
export const FALLOC = { KEEP_SIZE: 1 << 0, PUNCH_HOLE: 1 << 1, ZERO_RANGE: 1 << 4 } as const;

/** Flags of setxattr(2). */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
/** Of lseek(2), what comes to a file system. */
export const SEEK = { DATA: 3, HOLE: 4 } as const;

/** enum fuse_notify_code, carried in the `error` field of an answer whose `unique` is 0. */
export const NOTIFY = { INVAL_INODE: 2, INVAL_ENTRY: 3, RESEND: 7, INC_EPOCH: 8 } as const;
export const EXPIRE_ONLY = 1 << 0;
/** First minor version that knows INC_EPOCH. */
export const INC_EPOCH_MINOR = 44;

/** The id of an INTERRUPT is that of its request with this bit set. */
export const INTERRUPT_BIT = 1n;

/** _IOW(229, 1, struct fuse_backing_map): {int32 fd, uint32 flags, uint64 padding}, 16 bytes. */
export const IOC_BACKING_OPEN = 0x4010e501;
/** _IOW(229, 2, uint32_t). */
export const IOC_BACKING_CLOSE = 0x4004e502;
