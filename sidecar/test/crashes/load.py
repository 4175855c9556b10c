"""Programs at work in a folder: many calls of many kinds, each timed, every byte checked.

load.py FOLDER SECONDS  prints one JSON object: calls, failures, the longest pause, and what was written.
"""
import hashlib, json, mmap, os, random, subprocess, sys, threading, time

folder, seconds = sys.argv[1], float(sys.argv[2])
end = time.monotonic() + seconds
lock = threading.Lock()
calls, failures, pauses = {}, [], {}
manifest = {}  # name -> SHA-256 of what an acknowledged close has left there


def timed(kind, work, *args):
    began = time.monotonic()
    try:
        return work(*args)
    except Exception as error:  # any failure of any call is what this is about
        with lock:
            failures.append(f"{kind} after {time.monotonic() - began:.2f} s: {error!r}")
        raise
    finally:
        took = time.monotonic() - began
        with lock:
            calls[kind] = calls.get(kind, 0) + 1
            pauses[kind] = max(pauses.get(kind, 0), took)


def until_end(step, pause=0.0):
    number = 0
    while time.monotonic() < end:
        try:
            step(number)
        except Exception as error:
            with lock:
                failures.append(f"{step.__name__}: {error!r}")
            return
        number += 1
        time.sleep(pause)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def uploads(number):
    data = random.randbytes(random.choice([0, 10, 3000, 200_000]))
    name = f"{folder}/uploads/{number}"
    timed("create", write, name, data)
    with lock:
        manifest[name] = hashlib.sha256(data).hexdigest()


def renames(number):
    with lock:
        name = random.choice(list(manifest)) if manifest else None
        digest = manifest.pop(name, None)
    if digest is None:
        return
    target = f"{folder}/renamed/{number}"
    timed("rename", os.rename, name, target)
    with lock:
        manifest[target] = digest


def removals(number):
    with lock:
        if len(manifest) < 20:
            return
        name = random.choice(list(manifest))
        del manifest[name]
    timed("unlink", os.unlink, name)


def readers(number):
    with lock:
        if not manifest:
            return
        name = random.choice(list(manifest))
        digest = manifest.pop(name)  # nobody else moves it meanwhile
    data = timed("read", read, name)
    assert hashlib.sha256(data).hexdigest() == digest, f"{name} has other bytes"
    with lock:
        manifest[name] = digest


def folders(number):
    name = f"{folder}/folders/{number}"
    timed("mkdir", os.mkdir, name)
    timed("symlink", os.symlink, "x", f"{name}/link")
    assert timed("readlink", os.readlink, f"{name}/link") == "x"
    timed("unlink", os.unlink, f"{name}/link")
    timed("rmdir", os.rmdir, name)


def saves(number):
    """As editors do it."""
    data = f"{number}\n".encode() * 100
    with open(f"{folder}/document.tmp", "wb") as file:
        file.write(data)
        timed("fsync", os.fsync, file.fileno())
    timed("rename over", os.rename, f"{folder}/document.tmp", f"{folder}/document")
    assert timed("read", read, f"{folder}/document") == data


def attributes(number):
    name = f"{folder}/attributes"
    timed("chmod", os.chmod, name, 0o600 + number % 0o77)
    timed("utime", os.utime, name, (number, number))
    status = timed("stat", os.stat, name)
    assert (status.st_mode & 0o777, status.st_mtime) == (0o600 + number % 0o77, number), status


def listings(number):
    names = timed("list", os.listdir, f"{folder}/standing")
    assert len(names) == 300, f"{len(names)} names"
    with os.scandir(f"{folder}/standing") as entries:  # read in several calls, with pauses between them
        seen = 0
        for entry in entries:
            seen += 1
            if seen % 100 == 0:
                time.sleep(0.01)
    assert seen == 300, f"{seen} entries"


held = open(f"{folder}/held", "w+b", buffering=0)
held.write(bytes(1 << 16))
mapped = mmap.mmap(held.fileno(), 1 << 16)
appended = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
lines = 0


def holders(number):
    at = random.randrange(1 << 15)
    data = random.randbytes(100)
    timed("pwrite", os.pwrite, held.fileno(), data, at)
    assert timed("pread", os.pread, held.fileno(), 100, at) == data
    mapped[(1 << 15) + at % (1 << 14)] = number % 256
    assert os.pread(held.fileno(), 1, (1 << 15) + at % (1 << 14))[0] == number % 256


def appenders(number):
    global lines
    timed("append", os.write, appended, f"{number}\n".encode())
    lines = number + 1


def repositories(number):
    script = f"""
        cd {folder}; rm -rf clone-{number % 2}; git clone -q repository clone-{number % 2}
        cd clone-{number % 2}; echo {number} > file; git add .; git commit -qm {number}; git fsck --no-progress
        git push -q; rsync -a --delete ./ ../synced/"""
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True)
    with lock:
        calls["git"] = calls.get("git", 0) + 1
    assert done.returncode == 0, done.stderr


for name in ["uploads", "renamed", "folders", "standing", "synced"]:
    os.makedirs(f"{folder}/{name}", exist_ok=True)
for number in range(300):
    write(f"{folder}/standing/{number}", b"x")
write(f"{folder}/attributes", b"x")
subprocess.run(
    ["git", "init", "-q", "--bare", f"{folder}/repository"], check=True, capture_output=True
)
print("ready", flush=True)
steps = [
    (uploads, 0.05), (renames, 0.1), (removals, 0.12), (readers, 0.01), (folders, 0.1), (saves, 0.2),
    (attributes, 0.1), (listings, 0.2), (holders, 0.001), (appenders, 0.005), (repositories, 0.2),
]
threads = [threading.Thread(target=until_end, args=step) for step in steps]
end = time.monotonic() + seconds
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
expected = bytes(mapped)
held.close()
os.close(appended)
found = {"held": read(f"{folder}/held") == expected, "log": read(f"{folder}/log").split() == [b"%d" % n for n in range(lines)]}
wrong = [name for name, digest in manifest.items() if hashlib.sha256(read(name)).hexdigest() != digest]
print(json.dumps({
    "calls": calls, "failures": failures, "pauses": pauses, "files": len(manifest), "wrong": wrong, **found,
    "manifest": {name[len(folder) + 1:]: digest for name, digest in manifest.items()},
}))
