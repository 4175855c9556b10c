"""Programs on one machine: random operations in a folder that other machines have too.

actor.py FOLDER MACHINE SEED SECONDS  prints one JSON object for each operation, when all are done:
  kind, name, began, ended (ns of the clock all machines share), failed (errno's name, or null), and more by kind.
Names, by what is done with them (history.ts holds the outcome against what may have happened):
  registers/N  overwritten as a whole, in place or by a rename, and read
  edits/N      changed in place, each time from what was read through the same descriptor
  logs/N       appended to
  claims/N     made exclusively, by one of all who try
  tree/        made, moved, removed, and moved with the folder they are in; each file has a name of its own
"""
import errno, json, os, random, sys, threading, time
from contents import Torn, identify, line, lines, make

folder, machine, seed, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
THREADS = 2
REGISTERS, EDITS, LOGS = 3, 2, 2
FOLDERS = ["d0", "d1", "d2", "d3"]
NEW_CLAIM_EVERY = 0.4  # seconds; all machines then try for the same new name

end = time.monotonic() + seconds
# On one machine a file that is being written in place is seen half written, as on any disk.
in_place = {f"{kind}/{number}": threading.Lock() for kind in ("registers", "edits") for number in range(4)}
events, recording = [], threading.Lock()


class Actor:
    def __init__(self, number):
        self.id = f"{machine}{number}"
        self.draw = random.Random(f"{seed} {self.id}")
        self.count = 0

    def run(self):
        kinds, weights = zip(*KINDS.items())
        while time.monotonic() < end:
            self.act(self.draw.choices(kinds, weights)[0])
            time.sleep(self.draw.random() * 0.02)

    def act(self, kind):
        event = {"kind": kind.__name__, "actor": self.id, "failed": None}
        event["began"] = time.monotonic_ns()
        try:
            kind(self, event)
        except OSError as error:
            event["failed"] = errno.errorcode.get(error.errno, str(error.errno))
            event["step"] = error.filename or "call"
        except Torn as error:
            event["failed"], event["step"] = "TORN", str(error)
        event.setdefault("ended", time.monotonic_ns())
        with recording:
            events.append(event)

    def new_id(self):
        self.count += 1
        return f"{self.id}-{self.count}"

    def length(self):
        return self.draw.choices([200, 5000, 200_000, 1_500_000], [40, 30, 25, 5])[0]

    # Registers.

    def overwrite(self, event):
        name = event["name"] = f"registers/{self.draw.randrange(REGISTERS)}"
        data = make(event.setdefault("id", self.new_id()), self.length())
        with in_place[name]:
            event["began"] = time.monotonic_ns()
            store(f"{folder}/{name}", data)
            event["ended"] = time.monotonic_ns()

    def replace(self, event):
        name = event["name"] = f"registers/{self.draw.randrange(REGISTERS)}"
        id = event["id"] = self.new_id()
        data = make(id, self.length())
        temporary = f"{folder}/registers/.{id}"
        store(temporary, data)
        event["began"] = time.monotonic_ns()
        os.rename(temporary, f"{folder}/{name}")

    def read(self, event):
        kind, count = self.draw.choice([("registers", REGISTERS), ("registers", REGISTERS), ("edits", EDITS)])
        name = event["name"] = f"{kind}/{self.draw.randrange(count)}"
        with in_place[name]:
            event["began"] = time.monotonic_ns()
            with open(f"{folder}/{name}", "rb", buffering=0) as file:
                event["ended"] = time.monotonic_ns()  # it is that version from here on
                event["id"] = identify(file.readall())

    # Edits.

    def edit(self, event):
        name = event["name"] = f"edits/{self.draw.randrange(EDITS)}"
        event["id"] = self.new_id()
        with in_place[name]:
            event["began"] = time.monotonic_ns()
            descriptor = os.open(f"{folder}/{name}", os.O_RDWR)
            event["opened"] = time.monotonic_ns()
            try:
                size = os.fstat(descriptor).st_size
                event["parent"] = identify(read_all(descriptor, size))
                event["changing"] = True
                data = make(event["id"], size, event["parent"])
                os.pwrite(descriptor, data, 0)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            event["ended"] = time.monotonic_ns()

    # Logs.

    def append(self, event):
        name = event["name"] = f"logs/{self.draw.randrange(LOGS)}"
        ids = event["ids"] = [self.new_id() for _ in range(self.draw.choice([1, 1, 3]))]
        descriptor = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_APPEND)
        try:
            for id in ids:
                os.write(descriptor, line(id))
        finally:
            os.close(descriptor)

    def read_log(self, event):
        name = event["name"] = f"logs/{self.draw.randrange(LOGS)}"
        event["began"] = time.monotonic_ns()
        with open(f"{folder}/{name}", "rb", buffering=0) as file:
            event["ended"] = time.monotonic_ns()
            event["ids"] = lines(file.readall())

    # Claims.

    def claim(self, event):
        suffix = self.draw.choice(["", ".lock"])
        number = int(time.monotonic() / NEW_CLAIM_EVERY)
        name = event["name"] = f"claims/{number}{suffix}"
        id = event["id"] = self.new_id()
        descriptor = os.open(f"{folder}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            os.write(descriptor, make(id, 300))
        finally:
            os.close(descriptor)

    # The tree.

    def somewhere(self):
        path = "tree/" + self.draw.choice(FOLDERS)
        while self.draw.random() < 0.3:
            path += "/" + self.draw.choice(FOLDERS)
        return path

    def some_file(self):
        place = self.somewhere()
        names = [name for name in os.listdir(f"{folder}/{place}") if name not in FOLDERS]
        if not names:
            raise FileNotFoundError(errno.ENOENT, "no file", place)
        return place, self.draw.choice(sorted(names))

    def make_file(self, event):
        id = event["id"] = self.new_id()
        name = event["name"] = f"{self.somewhere()}/{id}"
        store(f"{folder}/{name}", make(id, self.draw.choice([200, 3000])))

    def read_file(self, event):
        place, name = self.some_file()
        event["name"] = f"{place}/{name}"
        event["began"] = time.monotonic_ns()
        with open(f"{folder}/{place}/{name}", "rb", buffering=0) as file:
            event["id"] = identify(file.readall())

    def move_file(self, event):
        place, name = self.some_file()
        event["name"], event["to"] = f"{place}/{name}", f"{self.somewhere()}/{self.new_id()}"
        event["acting"] = True
        os.rename(f"{folder}/{event['name']}", f"{folder}/{event['to']}")

    def remove_file(self, event):
        place, name = self.some_file()
        event["name"] = f"{place}/{name}"
        event["acting"] = True
        os.unlink(f"{folder}/{event['name']}")

    def make_folder(self, event):
        event["name"] = self.somewhere()
        os.mkdir(f"{folder}/{event['name']}")

    def remove_folder(self, event):
        event["name"] = self.somewhere()
        os.rmdir(f"{folder}/{event['name']}")

    def move_folder(self, event):
        event["name"], event["to"] = self.somewhere(), self.somewhere()
        os.rename(f"{folder}/{event['name']}", f"{folder}/{event['to']}")

    def list_folder(self, event):
        event["name"] = self.somewhere()
        names = os.listdir(f"{folder}/{event['name']}")
        if len(names) != len(set(names)):
            raise Torn(f"names that are there twice: {sorted(names)}")


KINDS = {
    Actor.overwrite: 10, Actor.replace: 8, Actor.read: 25, Actor.edit: 10, Actor.append: 12, Actor.read_log: 6,
    Actor.claim: 8, Actor.make_file: 10, Actor.read_file: 6, Actor.move_file: 5, Actor.remove_file: 4,
    Actor.make_folder: 4, Actor.remove_folder: 2, Actor.move_folder: 2, Actor.list_folder: 3,
}


def store(path, data):
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
    finally:
        os.close(descriptor)


def read_all(descriptor, size):
    data = b""
    while len(data) < size and (piece := os.pread(descriptor, size - len(data), len(data))):
        data += piece
    return data


actors = [Actor(number) for number in range(THREADS)]
threads = [threading.Thread(target=actor.run) for actor in actors]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for event in events:
    print(json.dumps(event))
