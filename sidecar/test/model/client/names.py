"""Names: making, moving and removing them."""

import ctypes
import os
import shutil

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_FLAGS = {"replace": 0, "no-replace": 1, "exchange": 2}


def rename(place, path, to, flag):
    if flag == "replace":
        return os.rename(place.path(path), place.path(to))
    names = [os.fsencode(place.path(each)) for each in (path, to)]
    if LIBC.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_FLAGS[flag]) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def unlink(place, path):
    os.unlink(place.path(path))


def make_folder(place, path, mode):
    os.mkdir(place.path(path), mode)


def remove_folder(place, path):
    os.rmdir(place.path(path))


def make_fifo(place, path, mode):
    os.mkfifo(place.path(path), mode)


def make_file(place, path, mode):
    os.mknod(place.path(path), mode)


def remove_all(place):
    """Everything below the root, as rm -rf does."""
    for each in os.scandir(place.root):
        if each.is_dir(follow_symlinks=False):
            shutil.rmtree(each.path)
        else:
            os.unlink(each.path)


CALLS = {
    "rename": rename,
    "unlink": unlink,
    "make_folder": make_folder,
    "remove_folder": remove_folder,
    "make_fifo": make_fifo,
    "make_file": make_file,
    "remove_all": remove_all,
}
