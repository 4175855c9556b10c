"""Symbolic and hard links."""

import os


def symlink(place, path, target):
    os.symlink(target, place.path(path))


def read_link(place, path):
    return os.readlink(place.path(path))


def link(place, path, to):
    os.link(place.path(path), place.path(to), follow_symlinks=False)


CALLS = {"symlink": symlink, "read_link": read_link, "link": link}
