// System calls that Node does not offer, through koffi: the only importer of it.
//
// Plain descriptors and numbers in, results out. A failed call throws SystemCallError with the errno's name in
// `code`, like the errors of node:fs, so callers recognise both alike. Calls that may wait for a disk or for
// another process run on the libuv pool and return a promise; all others return at once.

import { constants } from "node:os";
import { getSystemErrorName } from "node:util";

import koffi from "koffi";

const libc = koffi.load(null);

// open(2) etc. use 64-bit offsets on every platform we run on (x86-64 and arm64 Linux): off_t is int64.
const native = {
  ioctl: libc.func("int ioctl(int fd, unsigned long request, ...)"),
  fcntl: libc.func("int fcntl(int fd, int command, ...)"),
  flock: libc.func("int flock(int fd, int operation)"),
  fallocate: libc.func("int fallocate(int fd, int mode, int64_t offset, int64_t length)"),
  syncFileRange: libc.func("int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)"),
  copyFileRange: libc.func(
    "intptr_t copy_file_range(int from, void *fromOffset, int to, void *toOffset, size_t length, unsigned int flags)",
  ),
  lseek: libc.func("int64_t lseek(int fd, int64_t offset, int whence)"),
  poll: libc.func("int poll(void *descriptors, unsigned long count, int timeoutMs)"),
  read: libc.func("intptr_t read(int fd, void *buffer, size_t length)"),
  mount: libc.func(
    "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
  ),
  umount2: libc.func("int umount2(const char *target, int flags)"),
  unshare: libc.func("int unshare(int flags)"),
  strlen: libc.func("size_t strlen(void *text)"),
};

// Of Node itself.
const runtime = {
  uvClose: libc.func("void uv_close(void *handle, void *callback)"),
  deleteReference: libc.func("int napi_delete_reference(void *environment, void *reference)"),
};

// fcntl(2), <linux/fcntl.h>: F_LINUX_SPECIFIC_BASE is 1024. The same numbers on x86-64 and arm64.
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;
const FD_CLOEXEC = 1;
const CLONE_FILES = 0x400; // unshare(2)
const LOCK_EX = 2; // flock(2)
const LOCK_NB = 4;
const SEEK_DATA = 3; // lseek(2)
const SEEK_HOLE = 4;

/** Modes of `allocate`, fallocate(2). */
export const FALLOCATE_KEEP_SIZE = 1;
export const FALLOCATE_PUNCH_HOLE = 2;
export const FALLOCATE_ZERO_RANGE = 16;
/** Flags of `syncFileRange`, sync_file_range(2). */
export const SYNC_RANGE_WAIT_BEFORE = 1;
export const SYNC_RANGE_WRITE = 2;
export const SYNC_RANGE_WAIT_AFTER = 4;
/** Flags of `mountFileSystem`, mount(2). */
export const MOUNT_READ_ONLY = 1;
export const MOUNT_NO_SETUID = 2;
export const MOUNT_NO_DEVICES = 4;
export const MOUNT_NO_EXECUTE = 8;
/** Flags of `unmountFileSystem`, umount(2). */
export const UNMOUNT_FORCE = 1;
export const UNMOUNT_DETACH = 2;

/** A system call that failed. `code` is the name (`EBUSY`), `errno` the negative number, as in node:fs. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${code}: ${syscall}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

function checked(syscall: string, result: unknown): number {
  if (typeof result !== "number") throw new TypeError(`${syscall} returned no number`);
  if (result < 0) throw new SystemCallError(syscall, koffi.errno());
  return result;
}

/** ioctl(2) whose argument is a pointer to `argument`, which the call may change. */
export function ioctl(descriptor: number, request: number, argument: Buffer): number {
  return checked("ioctl", native.ioctl(descriptor, request, "void *", argument));
}

/** ioctl(2) whose argument is a number, for example a descriptor (FICLONE). */
export function ioctlNumber(descriptor: number, request: number, argument: number): number {
  return checked("ioctl", native.ioctl(descriptor, request, "int", argument));
}

/** unshare(2): the calling thread has descriptors of its own from now on, at first copies of its process's. */
export function unshareDescriptors(): void {
  checked("unshare", native.unshare(CLONE_FILES));
}

/** fcntl(2) F_SETFL: reads and writes that would wait fail with EAGAIN instead. */
export function setNonBlocking(descriptor: number): void {
  const flags = checked("fcntl", native.fcntl(descriptor, F_GETFL));
  checked("fcntl", native.fcntl(descriptor, F_SETFL, "int", flags | 0o4000 /* O_NONBLOCK */));
}

/** fcntl(2) F_SETFD: programs that this process starts do not get the descriptor. */
export function closeOnExec(descriptor: number): void {
  const flags = checked("fcntl", native.fcntl(descriptor, F_GETFD));
  checked("fcntl", native.fcntl(descriptor, F_SETFD, "int", flags | FD_CLOEXEC));
}

/**
 * fcntl(2) F_SETLEASE: takes a read lease and gives it back at once. False while anyone has the file open or
 * mapped for writing, through whatever descriptor. `descriptor` must be read-only.
 */
export function tryReadLease(descriptor: number): boolean {
  if (native.fcntl(descriptor, F_SETLEASE, "int", F_RDLCK) !== 0) {
    const errno = koffi.errno();
    if (errno === constants.errno.EAGAIN) return false;
    throw new SystemCallError("fcntl", errno);
  }
  checked("fcntl", native.fcntl(descriptor, F_SETLEASE, "int", F_UNLCK));
  return true;
}

/** flock(2) LOCK_EX | LOCK_NB. False if another open file holds the lock; ours ends when the descriptor is closed. */
export function lockExclusively(descriptor: number): boolean {
  if (native.flock(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === constants.errno.EWOULDBLOCK) return false;
  throw new SystemCallError("flock", errno);
}

/** fallocate(2). */
export async function allocate(
  descriptor: number,
  mode: number,
  offset: number,
  length: number,
): Promise<void> {
  await onPool("fallocate", native.fallocate, descriptor, mode, offset, length);
}

/** Gives back the space of these bytes, which read as zeros from then on; the length stays. fallocate(2). */
export function punchHole(descriptor: number, offset: number, length: number): Promise<void> {
  return allocate(descriptor, FALLOCATE_PUNCH_HOLE | FALLOCATE_KEEP_SIZE, offset, length);
}

/**
 * copy_file_range(2) at given offsets: how many bytes were copied, perhaps fewer than asked for, 0 at the end. The
 * offsets of the descriptors do not move.
 */
export async function copyFileRange(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): Promise<number> {
  const offsets = Buffer.alloc(16); // one piece of memory, read below: it lives as long as the call
  offsets.writeBigInt64LE(BigInt(fromOffset), 0);
  offsets.writeBigInt64LE(BigInt(toOffset), 8);
  const [fromAt, toAt] = [offsets.subarray(0, 8), offsets.subarray(8)];
  await onPool("copy_file_range", native.copyFileRange, from, fromAt, to, toAt, length, 0);
  return Number(offsets.readBigInt64LE(0)) - fromOffset; // the kernel has moved both by what it copied
}

/** sync_file_range(2): starts or awaits writing dirty pages; no promise about metadata. */
export async function syncFileRange(
  descriptor: number,
  offset: number,
  length: number,
  flags: number,
): Promise<void> {
  await onPool("sync_file_range", native.syncFileRange, descriptor, offset, length, flags);
}

/** lseek(2) SEEK_DATA: where data starts at or after `offset`; undefined if only holes follow. */
export function seekData(descriptor: number, offset: number): Promise<number | undefined> {
  return seek(descriptor, offset, SEEK_DATA);
}

/** lseek(2) SEEK_HOLE: where a hole starts at or after `offset` (the end counts); undefined beyond the end. */
export function seekHole(descriptor: number, offset: number): Promise<number | undefined> {
  return seek(descriptor, offset, SEEK_HOLE);
}

async function seek(descriptor: number, offset: number, whence: number): Promise<number | undefined> {
  try {
    return await onPool("lseek", native.lseek, descriptor, offset, whence);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENXIO") return undefined;
    throw error;
  }
}

/**
 * read(2) that returns the negative errno instead of throwing: on a non-blocking descriptor "nothing there" is
 * an ordinary answer, and an exception for it would cost more than the read.
 */
export function readOrErrno(descriptor: number, buffer: Buffer): number {
  const count: unknown = native.read(descriptor, buffer, buffer.length);
  if (typeof count !== "number") throw new TypeError("read returned no number");
  return count >= 0 ? count : -koffi.errno();
}

const POLLOUT = 0x004;
// struct pollfd: int fd; short events; short revents.
const asked = Buffer.alloc(8);

/** Whether a write to the descriptor would not wait, or fail at once, poll(2). */
export function isWritable(descriptor: number): boolean {
  asked.writeInt32LE(descriptor, 0);
  asked.writeInt16LE(POLLOUT, 4);
  asked.writeInt16LE(0, 6);
  return Number(native.poll(asked, 1, 0)) > 0;
}

/** mount(2). `data` are the file system's own options, comma separated. */
export function mountFileSystem(
  source: string,
  target: string,
  type: string,
  flags: number,
  data: string,
): void {
  checked("mount", native.mount(source, target, type, flags, data));
}

/** umount2(2) of the uppermost mount at `target`. */
export async function unmountFileSystem(target: string, flags: number): Promise<void> {
  await onPool("umount2", native.umount2, target, flags);
}

/** Calls `onReadable` each time the event loop finds the descriptor readable or in error, until closed. */
export function watchReadable(descriptor: number, onReadable: () => void): { close(): void } {
  // koffi's declaration leaves out the first argument (status); we look at neither.
  return koffi.node.poll(descriptor, { readable: true }, onReadable);
}

// Libraries stay loaded for as long as something refers to them.
const loaded: unknown[] = [];

/** dlopen(3): from now on other libraries that need this one by its name (SONAME) find it. Throws if it cannot be loaded. */
export function loadLibrary(file: string): void {
  loaded.push(koffi.load(file));
}

/** Reads an unsigned number at an address that native code has handed out and is keeping for us. */
export function readUint32(address: bigint): number {
  return koffi.decode.uint32(address);
}

/** Writes an unsigned number there. */
export function writeUint32(address: bigint, value: number): void {
  koffi.encode(address, "uint32_t", value);
}

/** A copy of the bytes of a C string, without the zero at its end. */
export function readCString(address: bigint): Buffer {
  const length = Number(native.strlen(address));
  return Buffer.from(new Uint8Array(koffi.view(address, length)));
}

const END_OF_THREAD = koffi.proto("void EndOfThread(void *data)");
const threads = {
  keyCreate: libc.func("int pthread_key_create(_Out_ unsigned int *key, EndOfThread *atEnd)"),
  keyDelete: libc.func("int pthread_key_delete(unsigned int key)"),
};

function createThreadKey(atEnd: unknown): number {
  const key: number[] = [0];
  const errno: unknown = threads.keyCreate(key, atEnd);
  if (errno !== 0) throw new SystemCallError("pthread_key_create", Number(errno));
  return Number(key[0]);
}

/**
 * Runs `load`, which makes a key of its own for data that belongs to threads, pthread_key_create(3), without saying
 * what is to become of the data when a thread ends; `atEnd` is then told. The key is made again in its place, which
 * works where the number that is free next is the lowest one, as in glibc. False where it does not work.
 */
export function watchThreadData(load: () => void, atEnd: (data: bigint) => void): boolean {
  const expected = createThreadKey(null);
  threads.keyDelete(expected);
  load();
  const next = createThreadKey(null);
  threads.keyDelete(next);
  if (next === expected) return false; // `load` has made none, or another one
  threads.keyDelete(expected);
  // Called on the thread that ends, koffi hands it over to this one and lets that one wait.
  return createThreadKey(koffi.register(atEnd, koffi.pointer(END_OF_THREAD))) === expected;
}

const signals = {
  fill: libc.func("int sigfillset(void *set)"),
  setMask: libc.func("int pthread_sigmask(int how, void *set, void *before)"),
};
const SIG_SETMASK = 2; // the same on x86-64 and arm64
/** sizeof(sigset_t) of glibc and musl. */
const SIGNAL_SET_BYTES = 128;

/** Runs `start`; the threads that it makes are given no signals as long as they live, pthread_sigmask(3). */
export function withoutSignals<T>(start: () => T): T {
  const [all, before] = [Buffer.alloc(SIGNAL_SET_BYTES), Buffer.alloc(SIGNAL_SET_BYTES)];
  signals.fill(all);
  signals.setMask(SIG_SETMASK, all, before);
  try {
    return start();
  } finally {
    signals.setMask(SIG_SETMASK, before, null);
  }
}

/** uv_close(3): the event loop does not look at the handle any more. Its memory may be freed after a turn of the loop. */
export function closeHandle(address: bigint): void {
  runtime.uvClose(address, null);
}

/** napi_delete_reference: what an addon holds on to may be collected. */
export function deleteReference(environment: bigint, reference: bigint): void {
  runtime.deleteReference(environment, reference);
}

interface AsyncCall {
  async(...args: unknown[]): void;
}

/** Answers what the call returns. */
function onPool(syscall: string, call: AsyncCall, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      else if (result < 0) reject(new SystemCallError(syscall, koffi.errno()));
      else resolve(result);
    });
  });
}
