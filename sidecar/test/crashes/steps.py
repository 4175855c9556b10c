"""One of each change a program can make, each with its outcome checked. steps.py FOLDER COLD LARGE

COLD and LARGE are names of objects that other tools have put into the bucket, of 100,000 and 3,000,000 zeros.
"""
import ctypes, errno, hashlib, os, sys

folder, cold, large = sys.argv[1], sys.argv[2], sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)


def write(path, data, mode="wb"):
    with open(path, mode) as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def fails(number, work, *args):
    try:
        work(*args)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError(f"{work} did not fail")


def exchange(one, other):
    done = libc.renameat2(-100, one.encode(), -100, other.encode(), 2)
    assert done == 0, os.strerror(ctypes.get_errno())


os.mkdir(folder)
fails(errno.EEXIST, os.mkdir, folder)
os.chdir(folder)
write("small", b"one")
assert read("small") == b"one"
with open("small", "r+b") as file:  # edited: based on what was there
    file.seek(3)
    file.write(b" two")
assert read("small") == b"one two"
descriptor = os.open("exclusive", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
os.write(descriptor, b"x")
os.fsync(descriptor)
os.write(descriptor, b"y")
os.close(descriptor)
assert read("exclusive") == b"xy"
lock = os.open("app.lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
os.close(lock)
fails(errno.EEXIST, os.open, "app.lock", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
os.unlink("app.lock")
assert read(cold) == bytes(100_000)
write(large, b"end", "ab")  # appended to without being downloaded
assert os.stat(large).st_size == 3_000_003
assert read(large)[-5:] == b"\0\0end"
data = bytes(range(256)) * 40_000  # 10 MB, more than one request takes
write("long", data)
assert hashlib.sha256(read("long")).digest() == hashlib.sha256(data).digest()
os.chmod("small", 0o640)
os.utime("small", (1000, 2000))
assert (os.stat("small").st_mode & 0o777, os.stat("small").st_mtime) == (0o640, 2000)
descriptor = os.open("small", os.O_RDONLY)
os.fsync(descriptor)  # what chmod and utime have set is in the bucket
os.close(descriptor)
os.rename("small", "renamed")
fails(errno.ENOENT, os.stat, "small")
write("other", b"other")
os.rename("other", "renamed")
assert read("renamed") == b"other"
exchange("renamed", "exclusive")
assert (read("renamed"), read("exclusive")) == (b"xy", b"other")
os.symlink("renamed", "link")
assert read("link") == b"xy"
os.mkfifo("pipe")
os.makedirs("folder/deep")
for number in range(5):
    write(f"folder/{number}", b"%d" % number)
held = open("folder/deep/held", "w+b", buffering=0)
held.write(b"before ")
os.rename("folder", "moved")
held.write(b"after")
held.close()
assert read("moved/deep/held") == b"before after"
assert sorted(os.listdir("moved")) == ["0", "1", "2", "3", "4", "deep"]
gone = open("moved/0", "rb")
os.unlink("moved/0")
assert gone.read() == b"0"
gone.close()
log = os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
for number in range(20):
    os.write(log, b"%d\n" % number)
os.close(log)
assert read("log").split() == [b"%d" % number for number in range(20)]
os.truncate("log", 4)
assert read("log") == b"0\n1\n"
fails(errno.ENOTEMPTY, os.rmdir, "moved")
for name in ["moved/1", "moved/2", "moved/3", "moved/4", "moved/deep/held"]:
    os.unlink(name)
os.rmdir("moved/deep")
os.rmdir("moved")
expected = ["exclusive", "link", "log", "long", "pipe", "renamed"]
assert sorted(os.listdir(".")) == expected, os.listdir(".")
