"""Programs that write files until the folder is taken from them, and note what they were told is stored.

writers.py FOLDER MANIFEST [logs]
  logs: each does nothing but append to a log, so that one state of it follows the other into the bucket.

Lines of the manifest, each on the disk before the writer goes on:
  begin NAME SHA-256|-                  NAME is about to become that ("-": gone)
  done NAME SHA-256|-                   the call that makes it so has returned success
"""
import hashlib, os, random, sys, threading, time

folder, manifest = sys.argv[1], sys.argv[2]
notes = os.open(manifest, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
stopping = threading.Event()


def note(*words):
    os.write(notes, (" ".join(words) + "\n").encode())
    os.fdatasync(notes)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def store(name, data):
    """close() is what acknowledges it."""
    note("begin", name, digest(data))
    with open(f"{folder}/{name}", "wb") as file:
        file.write(data)
    note("done", name, digest(data))


def store_in_two(name, first, rest):
    """fsync() acknowledges the first part, close() all of it."""
    note("begin", name, digest(b""))  # truncated by the open: another version may be stored without a byte
    note("begin", name, digest(first))
    with open(f"{folder}/{name}", "wb", buffering=0) as file:
        file.write(first)
        os.fsync(file.fileno())
        note("done", name, digest(first))
        note("begin", name, digest(first + rest))
        file.write(rest)
    note("done", name, digest(first + rest))


def append(name, before, data):
    note("begin", name, digest(before + data))
    with open(f"{folder}/{name}", "ab") as file:
        file.write(data)
    note("done", name, digest(before + data))
    return before + data


def rename(name, to, data):
    note("begin", to, digest(data))
    note("begin", name, "-")
    os.rename(f"{folder}/{name}", f"{folder}/{to}")
    note("done", to, digest(data))
    note("done", name, "-")


def remove(name):
    note("begin", name, "-")
    os.unlink(f"{folder}/{name}")
    note("done", name, "-")


def data():
    return random.randbytes(random.choice([0, 20, 4000, 300_000]))


def run(writer):
    os.mkdir(f"{folder}/{writer}")
    log = b""
    large = random.randbytes(3_000_000)
    store(f"{writer}/large", large)
    number = 0
    while not stopping.is_set():
        number += 1
        name = f"{writer}/{number}"
        what = number % 6
        if what == 0:
            store_in_two(name, data(), data())
        elif what == 1:
            content = data()
            store(f"{name}.tmp", content)
            rename(f"{name}.tmp", f"{writer}/document", content)
        elif what == 2:
            log = append(f"{writer}/log", log, b"%d\n" % number)
        elif what == 3:
            large = append(f"{writer}/large", large, random.randbytes(100))
        elif what == 4:
            store(name, data())
            remove(name)
        else:
            store(f"{writer}/again", data())
        if number % 40 == 0:
            store(f"{writer}/long", random.randbytes(12_000_000))


def run_log(writer):
    log = b""
    number = 0
    while not stopping.is_set():
        number += 1
        log = append(f"{writer}-log", log, b"%d\n" % number)
        time.sleep(random.choice([0, 0, 0, 0.02]))


def until_taken(writer):
    try:
        (run_log if "logs" in sys.argv else run)(writer)
    except OSError as error:
        print(f"{writer}: {error}", flush=True)


threads = [threading.Thread(target=until_taken, args=(f"w{number}",)) for number in range(4)]
for thread in threads:
    thread.start()
print("ready", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), stopping.set()), daemon=True).start()
for thread in threads:
    thread.join()
