"""One process on each machine, and all of them want the same: round after round, let go at the same moment.

claims.py WAY ROUNDS FOLDER...  prints one JSON object for each round: name, and by machine what the call said ("ok" or errno).
"""
import ctypes, errno, json, multiprocessing, os, sys

way, rounds, folders = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE = 1


def rename_exclusively(source, destination):
    if libc.renameat2(-100, source.encode(), -100, destination.encode(), NOREPLACE) != 0:
        raise OSError(ctypes.get_errno(), "")


def make(path, owner):
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        os.write(descriptor, owner.encode())
    finally:
        os.close(descriptor)


def rename(path, owner):
    source = f"{path}-from-{owner}"
    rename_exclusively(source, path)
    if os.path.exists(source):
        raise AssertionError(f"{source} was renamed and is there")


WAYS = {
    "lock": make,
    "file": make,
    "rename": rename,
    "symlink": lambda path, owner: os.symlink(owner, path),
    "mkdir": lambda path, owner: os.mkdir(path),
    "link": lambda path, owner: os.link(f"{path}-from-{owner}", path),
}
SUFFIXES = {"lock": ".lock", "link": ".lock"}
PREPARED = ("rename", "link")  # something of one's own is to get the name


def compete(machine, folder, barrier, say):
    try:
        for number in range(rounds):
            name = f"{way}/{number}{SUFFIXES.get(way, '')}"
            path = f"{folder}/{name}"
            if way in PREPARED:
                make(f"{path}-from-{machine}", machine)
            barrier.wait()
            try:
                WAYS[way](path, machine)
                said = "ok"
            except OSError as error:
                said = errno.errorcode[error.errno]
            if way in PREPARED and said != "ok":
                os.unlink(f"{path}-from-{machine}")  # what did not get the name was kept
            say.put((name, machine, said))
    except BaseException as error:
        barrier.abort()
        say.put((None, machine, repr(error)))


barrier, say = multiprocessing.Barrier(len(folders)), multiprocessing.Queue()
os.mkdir(f"{folders[0]}/{way}")
machines = [chr(ord("a") + number) for number in range(len(folders))]
processes = [
    multiprocessing.Process(target=compete, args=(machine, folder, barrier, say))
    for machine, folder in zip(machines, folders)
]
for process in processes:
    process.start()
outcomes = {}
for _ in range(rounds * len(folders)):
    name, machine, said = say.get()
    if name is None:
        sys.exit(f"{machine}: {said}")
    outcomes.setdefault(name, {})[machine] = said
for process in processes:
    process.join()
for name, said in outcomes.items():
    print(json.dumps({"name": name, "said": said}))
