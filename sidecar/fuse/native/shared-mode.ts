// Permissions of what is made through the mount.
//
// libfuse does not tell who makes a file, so it cannot be given to whoever does: all belongs to the owner of the mount.
// Where other users may use the folder, the maker may be one of them, and must be able to go on with what it has made.
// So whoever may read a new file may also do what its owner may, as far as --file-mode and --dir-mode let others. What
// was made for its owner alone stays closed.

const OTHERS_READ = 0o004;
const OTHERS = 0o007;
const GROUP_SHIFT = 3;
const OWNER_SHIFT = 6;

/** `mode` as a program asked for it (umask applied), widened as far as `limit` allows. */
export function sharedMode(mode: number, limit: number): number {
  if ((mode & OTHERS_READ) === 0) return mode;
  const owner = (mode >> OWNER_SHIFT) & OTHERS;
  return mode | (((owner << GROUP_SHIFT) | owner) & limit);
}
