"""Attributes, by path and by open file."""

import os
import stat

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
# 2025-01-01 and 2030-01-01: between them lies every time that was not set by a call.
RECENT_S = range(1735689600, 1893456000)


def told(status):
    """What must be the same in both places."""
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    recent = status.st_mtime_ns // 10**9 in RECENT_S
    answer = {
        "kind": kind,
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "owner": f"{status.st_uid}:{status.st_gid}",
    }
    # A FIFO's moves with what is written to it on some disks: bytes that never reach them.
    if kind != "fifo":
        answer["modified"] = "recently" if recent else str(status.st_mtime_ns)
    # A folder's are the disk's own affair.
    if kind != "folder":
        answer["links"] = status.st_nlink
        answer["size"] = status.st_size
    return answer


def status(place, path, follow):
    return told(os.stat(place.path(path), follow_symlinks=follow))


def handle_status(place, slot):
    return told(os.fstat(place.slots[slot]))


def same_file(place, slot, path):
    """Whether the open file is the one that has this name."""
    return os.path.samestat(os.fstat(place.slots[slot]), os.stat(place.path(path), follow_symlinks=False))


def access(place, path, wanted):
    return os.access(place.path(path), wanted)


def change_mode(place, path, mode):
    os.chmod(place.path(path), mode)


def handle_change_mode(place, slot, mode):
    os.fchmod(place.slots[slot], mode)


def change_owner(place, path, user, group):
    os.chown(place.path(path), user, group, follow_symlinks=False)


def set_times(place, path, modified_ns):
    if modified_ns is None:
        return os.utime(place.path(path))
    os.utime(place.path(path), ns=(10**18, int(modified_ns)))


def handle_set_times(place, slot, modified_ns):
    os.utime(place.slots[slot], ns=(10**18, int(modified_ns)))


def truncate(place, path, size):
    os.truncate(place.path(path), size)


CALLS = {
    "status": status,
    "handle_status": handle_status,
    "same_file": same_file,
    "access": access,
    "change_mode": change_mode,
    "handle_change_mode": handle_change_mode,
    "change_owner": change_owner,
    "set_times": set_times,
    "handle_set_times": handle_set_times,
    "truncate": truncate,
}
