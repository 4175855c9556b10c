"""What is there: one folder, or everything."""

import os
import stat

from attributes import told
from contents import contents_of


def entries(place, path):
    """Names with their kinds as the folder itself tells them."""
    with os.scandir(place.path(path)) as found:
        return {each.name: kind_of(each) for each in found}


def kind_of(entry):
    return (
        "symlink"
        if entry.is_symlink()
        else "folder" if entry.is_dir() else "file" if entry.is_file() else "special"
    )


def tree(place, with_contents):
    """Every name below the root with what is told of it."""
    found = {}
    walk(place.root, "", with_contents, found)
    return found


def walk(folder, prefix, with_contents, found):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        status = os.lstat(path)
        entry = told(status)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            entry["target"] = os.readlink(path)
        if kind == stat.S_IFREG and with_contents:
            entry["contents"] = contents_of(path)
        found[prefix + name] = entry
        if kind == stat.S_IFDIR:
            walk(path, f"{prefix}{name}/", with_contents, found)


CALLS = {"entries": entries, "tree": tree}
