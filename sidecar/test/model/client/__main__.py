"""A program that works in a folder as it is told: one JSON call a line in, one JSON answer a line out.

Two of these work on the mount and two on a plain folder. Open files live here, by slots that the test numbers.
Usage: python3 client [USER]   (a number, to work as that user and group)
"""

import errno
import json
import os
import sys

import attributes
import contents
import folders
import links
import looking
import mapping
import names
import opening

CALLS = {}
for group in (opening, contents, mapping, names, links, attributes, looking, folders):
    CALLS.update(group.CALLS)


class Place:
    """Where the calls work, and what they have open."""

    def __init__(self):
        self.root = "/"
        self.slots = {}

    def path(self, name):
        return os.path.join(self.root, name) if name else self.root


def go_to(place, path):
    place.root = path


CALLS["go_to"] = go_to


def answer(place, call):
    name = call.pop("call")
    try:
        return {"value": CALLS[name](place, **call)}
    except OSError as error:
        return {"errno": errno.errorcode.get(error.errno, str(error.errno))}


def main():
    if len(sys.argv) > 1:
        user = int(sys.argv[1])
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    os.umask(0o022)
    place = Place()
    for line in sys.stdin:
        print(json.dumps(answer(place, json.loads(line))), flush=True)


main()
