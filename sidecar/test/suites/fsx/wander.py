"""Reads, writes, maps, cuts and extends a file at random places, and compares every byte with what it has to be.

As fsx does, but in a file that has a content already, so that what is read was often never written here: of a file
too large to be fetched whole, those parts are in the bucket only.

usage: wander.py FILE EXPECTED SEED OPERATIONS LEAST [ACT …]
EXPECTED holds what FILE holds, and at the end what it has to hold then. FILE never gets shorter than LEAST bytes.
The acts that are named are left out.
"""

import ctypes
import mmap
import os
import random
import sys

PAGE = mmap.PAGESIZE
LONGEST = 300_000  # bytes of one operation
KEEP_SIZE, PUNCH_HOLE = 1, 2  # linux/falloc.h


# How often each is done, compared with the others.
ACTS = {"read": 6, "map": 3, "write": 3, "store": 3, "truncate": 1, "copy_file_range": 1, "punch_hole": 1}


def main(name, expected_name, seed, operations, least, left_out):
    acts = {act: weight for act, weight in ACTS.items() if act not in left_out}
    chance = random.Random(seed)
    with open(expected_name, "rb") as expected_file:
        expected = bytearray(expected_file.read())
    most = len(expected) + 3_000_000
    descriptor = os.open(name, os.O_RDWR)
    for number in range(operations):
        act = chance.choices(list(acts), acts.values())[0]
        start = chance.randrange(len(expected))
        end = min(len(expected), start + chance.randrange(1, LONGEST))
        if act == "read":
            check(act, number, os.pread(descriptor, end - start, start), expected, start, end)
        elif act == "map":
            with mapped(descriptor, start, end) as view:
                check(act, number, bytes(view), expected, start, end)
        elif act == "write":
            end = min(most, start + (end - start) * 2)  # sometimes beyond its end
            data = chance.randbytes(end - start)
            assert os.pwrite(descriptor, data, start) == len(data)
            expected[start:end] = data
        elif act == "store":
            data = chance.randbytes(end - start)
            with mapped(descriptor, start, end) as view:
                view[:] = data
            expected[start:end] = data
        elif act == "copy_file_range":
            target = chance.randrange(len(expected))
            length = min(end - start, abs(target - start))  # within one file they must not overlap
            copied = 0
            while copied < length:
                step = os.copy_file_range(
                    descriptor, descriptor, length - copied, start + copied, target + copied
                )
                assert step > 0, f"{number} {act} {start} -> {target}: ended after {copied} of {length}"
                copied += step
            expected[target : target + length] = expected[start : start + length]
        elif act == "punch_hole":
            punched = libc.fallocate(descriptor, KEEP_SIZE | PUNCH_HOLE, start, end - start)
            assert punched == 0, os.strerror(ctypes.get_errno())
            expected[start:end] = bytes(end - start)
        else:
            length = chance.randrange(least, most)
            os.ftruncate(descriptor, length)
            del expected[length:]
            expected.extend(bytes(length - len(expected)))
        size = os.fstat(descriptor).st_size
        assert size == len(expected), f"{number} {act}: {size} bytes, should be {len(expected)}"
    os.close(descriptor)
    with open(expected_name, "wb") as expected_file:
        expected_file.write(expected)


class mapped:
    """The bytes of a range in a shared mapping. Python's own mmap closes a descriptor, and that stores the file."""

    def __init__(self, descriptor, start, end):
        self.before = start % PAGE
        self.length = end - start + self.before
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        self.address = libc.mmap(
            None, self.length, protection, mmap.MAP_SHARED, descriptor, start - self.before
        )
        assert self.address != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())

    def __enter__(self):
        whole = (ctypes.c_char * self.length).from_address(self.address)
        return memoryview(whole).cast("B")[self.before :]

    def __exit__(self, *_):
        assert libc.munmap(self.address, self.length) == 0


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def check(act, number, found, expected, start, end):
    if found == expected[start:end]:
        return
    wrong = next((i for i in range(len(found)) if found[i] != expected[start + i]), len(found))
    sys.exit(f"{number} {act} {start}..{end}: {len(found)} bytes, wrong from {start + wrong}")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6:])
