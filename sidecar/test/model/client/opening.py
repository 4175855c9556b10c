"""open, close, dup."""

import os

FLAGS = {name: getattr(os, name) for name in dir(os) if name.startswith("O_")}


def open_file(place, slot, path, flags, mode):
    # O_NONBLOCK: a FIFO must not wait for its other end. Files and folders do not mind.
    number = os.O_NONBLOCK
    for flag in flags:
        number |= FLAGS[flag]
    place.slots[slot] = os.open(place.path(path), number, mode)


def close(place, slot):
    os.close(place.slots.pop(slot))


def duplicate(place, slot, to):
    place.slots[to] = os.dup(place.slots[slot])


def temporary(place, path):
    """O_TMPFILE. Answers how many bytes came back from a file without a name."""
    descriptor = os.open(place.path(path), os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        os.write(descriptor, b"nameless")
        return len(os.pread(descriptor, 100, 0))
    finally:
        os.close(descriptor)


CALLS = {"open": open_file, "close": close, "duplicate": duplicate, "temporary": temporary}
