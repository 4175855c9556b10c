// What pjdfstest 0.2.0 finds on a mount, stated beforehand: each deviation with its reason, and how many cases pass.

/** Cases with one reason for what becomes of them. */
export interface Exclusion {
  readonly reason: string;
  readonly cases: readonly string[];
}

/** The calls that pjdfstest asks about, by which its cases are grouped. */
export const GROUPS = [
  "chmod",
  "chown",
  "ftruncate",
  "link",
  "mkdir",
  "mkfifo",
  "mknod",
  "open",
  "posix_fallocate",
  "rename",
  "rmdir",
  "symlink",
  "truncate",
  "unlink",
  "utimensat",
] as const;

/** How many cases pass. May only grow: a case that once passed is never given up quietly. */
export const PASSING = 362;

const NOT_FOLDERS = ["regular", "fifo", "block", "char", "socket"];
const ofEachKind = (question: string): string[] => NOT_FOLDERS.map((kind) => `${question}::${kind}`);

export const EXPECTED_TO_FAIL: readonly Exclusion[] = [
  {
    reason: "they make a hard link, and link() is refused with EPERM: one name is one object",
    cases: [
      ...ofEachKind("link::changed_ctime_success"),
      ...ofEachKind("link::remove_link"),
      ...ofEachKind("link::share_metadata"),
      ...ofEachKind("rename::preserve_metadata"),
      ...ofEachKind("rename::to_multiply_linked"),
      ...ofEachKind("unlink::unchanged_ctime_failed"),
      ...ofEachKind("unlink::update_ctime_success"),
    ],
  },
];

/** Those of the above that are about plain files, folders and symbolic links alone. */
export const PLAIN_DEVIATIONS: readonly string[] = [];

export const EXPECTED_TO_BE_SKIPPED: readonly Exclusion[] = [
  {
    reason:
      "the C library knows how many links a file may have by the type of the file system only, and not for FUSE " +
      "(it says 127, which pjdfstest takes for 'unknown'); on ext4 this case runs",
    cases: ["link::link_count_max"],
  },
];

/**
 * These make the longest path the kernel takes, 4,095 bytes, below the folder they are given. An object's name has at
 * most 1,024, so they cannot run on a mount at an ordinary place. They run on one whose own path is this long.
 */
export const LONG_PATHS = "::enametoolong_path";
export const LONG_MOUNT_POINT_BYTES = 3200;

/**
 * These make the file system read-only for a moment, which the kernel refuses while a file of it is open for writing.
 * Earlier cases leave some open (on a tmpfs too, seven of these fail for that), so they run by themselves.
 */
export const READ_ONLY = "::erofs_";
