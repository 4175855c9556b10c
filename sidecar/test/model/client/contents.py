"""Bytes of open files."""

import hashlib
import os

# Longer contents are told by their checksum.
SHOWN_BYTES = 64
CHUNK_BYTES = 1 << 20
WHENCE = {"set": os.SEEK_SET, "current": os.SEEK_CUR, "end": os.SEEK_END}


def pattern(tag, length):
    """Bytes that differ by tag and by position."""
    period = bytes((tag * 41 + i * 7) % 251 for i in range(251))
    return (period * (length // 251 + 1))[:length]


def shown(data):
    if len(data) <= SHOWN_BYTES:
        return data.hex()
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()}"


def read(place, slot, length):
    return shown(os.read(place.slots[slot], length))


def pread(place, slot, length, offset):
    return shown(os.pread(place.slots[slot], length, offset))


def write(place, slot, tag, length):
    return written(pattern(tag, length), lambda data: os.write(place.slots[slot], data))


def pwrite(place, slot, tag, length, offset):
    total = 0

    def piece(data):
        nonlocal total
        count = os.pwrite(place.slots[slot], data, offset + total)
        total += count
        return count

    return written(pattern(tag, length), piece)


def written(data, piece):
    """All of it: how many calls that takes is the kernel's affair."""
    total = 0
    while True:
        count = piece(data[total:])
        total += count
        if total >= len(data) or count == 0:
            return total


def seek(place, slot, offset, whence):
    return os.lseek(place.slots[slot], offset, WHENCE[whence])


def resize(place, slot, size):
    os.ftruncate(place.slots[slot], size)


def sync(place, slot, data_only):
    (os.fdatasync if data_only else os.fsync)(place.slots[slot])


def contents_of(path):
    """Of a file by its path: `shown`, in pieces."""
    digest = hashlib.sha256()
    total = 0
    first = b""
    with open(path, "rb", buffering=0) as file:
        while data := file.read(CHUNK_BYTES):
            if total == 0:
                first = data
            total += len(data)
            digest.update(data)
    return first.hex() if total <= SHOWN_BYTES else f"{total} bytes, {digest.hexdigest()}"


CALLS = {
    "read": read,
    "pread": pread,
    "write": write,
    "pwrite": pwrite,
    "seek": seek,
    "resize": resize,
    "sync": sync,
}
