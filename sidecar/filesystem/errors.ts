// What the tree itself refuses, named by the errno POSIX gives it; the number is decided in fuse/errno.ts.

/** Errors of the tree. Names are those of errno(3). */
export type FileSystemErrorCode =
  | "EACCES"
  | "EBADF"
  | "EEXIST"
  | "EFBIG"
  | "EINTR"
  | "EINVAL"
  | "EIO"
  | "EISDIR"
  | "ELOOP"
  | "ENAMETOOLONG"
  | "ENODATA"
  | "ENOENT"
  | "ENOSPC"
  | "ENOSYS"
  | "ENOTDIR"
  | "ENOTEMPTY"
  | "ENOTSUP"
  | "ENXIO"
  | "EPERM"
  | "ERANGE"
  | "EROFS"
  | "ESTALE"
  | "ETXTBSY"
  | "EXDEV";

/** A refusal with its reason in words. */
export class FileSystemError extends Error {
  override readonly name = "FileSystemError";
  readonly code: FileSystemErrorCode;

  constructor(code: FileSystemErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
