"""Shared mappings. With C's mmap: Python's own keeps a duplicate of the descriptor."""

import ctypes
import mmap
import os

from contents import pattern

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
FAILED = ctypes.c_void_p(-1).value
MS_SYNC = 4


def refuse():
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def store(place, slot, offset, length, tag, sync, close_first):
    """Stores bytes through a mapping, which may outlive the descriptor. Never beyond the end: that is SIGBUS."""
    descriptor = place.slots[slot]
    size = os.fstat(descriptor).st_size
    if size == 0:
        if close_first:
            os.close(place.slots.pop(slot))
        return "empty"
    start = offset % size
    data = pattern(tag, min(length, size - start))
    address = LIBC.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    if address == FAILED:
        refuse()
    try:
        if close_first:
            os.close(place.slots.pop(slot))
        ctypes.memmove(address + start, data, len(data))
        if sync and LIBC.msync(address, size, MS_SYNC) != 0:
            refuse()
    finally:
        LIBC.munmap(address, size)
    return len(data)


CALLS = {"store": store}
