"""Calls through an open folder, wherever that is by now."""

import os

from opening import FLAGS


def handle_entries(place, slot):
    return sorted(os.listdir(place.slots[slot]))


def open_at(place, at, slot, name, flags, mode):
    number = os.O_NONBLOCK
    for flag in flags:
        number |= FLAGS[flag]
    place.slots[slot] = os.open(name, number, mode, dir_fd=place.slots[at])
    return os.fstat(place.slots[slot]).st_size


def make_folder_at(place, at, name):
    os.mkdir(name, 0o755, dir_fd=place.slots[at])


def unlink_at(place, at, name):
    os.unlink(name, dir_fd=place.slots[at])


def rename_to(place, path, at, name):
    os.rename(place.path(path), name, dst_dir_fd=place.slots[at])


def rename_from(place, at, name, to):
    os.rename(name, place.path(to), src_dir_fd=place.slots[at])


CALLS = {
    "handle_entries": handle_entries,
    "open_at": open_at,
    "make_folder_at": make_folder_at,
    "unlink_at": unlink_at,
    "rename_to": rename_to,
    "rename_from": rename_from,
}
