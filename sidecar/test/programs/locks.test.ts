// Locks by which programs of one machine exclude each other: on files, on parts of files, and by files that exist.

import { behaviours } from "../helpers/settings.ts";
import { comesToBe } from "./trees.ts";

const behaviour = behaviours();

behaviour("flock lets one program in at a time", async ({ t, shell, object, objects }) => {
  await shell(`echo 0 > counter
    for i in $(seq 20); do
      flock lock sh -c 'n=$(cat counter); sleep 0.01; echo $((n + 1)) > counter' &
    done; wait`);
  t.is(await object("counter"), "20\n");
  t.is(
    await shell("flock lock sh -c 'flock -n lock true || echo taken'; flock -n lock echo free"),
    "taken\nfree\n",
  );
  t.is(await shell("flock -s lock flock -s -n lock echo shared"), "shared\n");
  t.is(
    await shell(
      "exec 9< lock; flock -n 9; flock -n lock true || echo taken; exec 9<&-; flock -n lock echo free",
    ),
    "taken\nfree\n",
  );
  await comesToBe(t, objects, ["counter", "lock"]);
});

behaviour("fcntl locks parts of a file, for a process, until it closes the file", async ({ t, python }) => {
  const said = await python(`
import fcntl, struct
f = open("data", "w+b"); f.write(bytes(100)); f.flush()
fcntl.lockf(f, fcntl.LOCK_EX, 10, 0); fcntl.lockf(f, fcntl.LOCK_SH, 10, 50)
def tried(length, start, kind=fcntl.LOCK_EX):
    readable, writable = os.pipe()
    if os.fork() == 0:
        g = open("data", "r+b")
        try: fcntl.lockf(g, kind|fcntl.LOCK_NB, length, start); os.write(writable, b"got it")
        except OSError as e: os.write(writable, b"refused")
        os._exit(0)
    os.wait(); os.close(writable); return os.read(readable, 20).decode()
print(tried(10, 0), tried(10, 20), tried(1, 9), tried(10, 50), tried(10, 50, fcntl.LOCK_SH))
asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
if os.fork() == 0:
    g = open("data", "r+b"); found = struct.unpack("hhqqi4x", fcntl.fcntl(g, fcntl.F_GETLK, asked))
    print(found[4] == os.getppid()); os.sys.stdout.flush(); os._exit(0)
os.wait(); open("data").close(); print(tried(10, 0)) # closing any descriptor of it gives all up
`);
  t.is(said, "refused got it refused refused got it\nTrue\ngot it\n");
});

behaviour("open file description locks exclude two opens of one program", async ({ t, python }) => {
  const said = await python(`
import errno, fcntl, struct
F_OFD_SETLK = 37
lock = lambda kind: struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)
one = os.open("data", os.O_RDWR|os.O_CREAT); other = os.open("data", os.O_RDWR)
fcntl.fcntl(one, F_OFD_SETLK, lock(fcntl.F_WRLCK))
try: fcntl.fcntl(other, F_OFD_SETLK, lock(fcntl.F_WRLCK)); print("got it")
except OSError as e: print(errno.errorcode[e.errno])
twin = os.dup(one); os.close(one)
try: fcntl.fcntl(other, F_OFD_SETLK, lock(fcntl.F_RDLCK)); print("got it")
except OSError as e: print(errno.errorcode[e.errno])
os.close(twin); fcntl.fcntl(other, F_OFD_SETLK, lock(fcntl.F_WRLCK)); print("got it")`);
  t.is(said, "EAGAIN\nEAGAIN\ngot it\n");
});

behaviour("a lock that a killed program held is free again", async ({ t, shell }) => {
  t.is(
    await shell(`flock lock sleep 60 & sleep 0.5; flock -n lock true || echo taken
      kill -9 $(cat /proc/$!/task/$!/children) $!; wait || true; flock -w 20 lock echo free`),
    "taken\nfree\n",
  );
});

behaviour(
  "lockfile-create makes a lock that nobody else can make, where links can be made",
  async (place) => {
    const { t, shell, objects } = place;
    // It gives a file a second name, which exactly one program can do.
    const linked = await shell("echo x > one; ln one two 2> /dev/null && echo yes || echo no; rm -f one two");
    const said = await shell(`
    lock() { lockfile-create --retry 0 --lock-name mailbox.lock 2> /dev/null; }
    lock && { echo locked; lockfile-check --lock-name mailbox.lock; } || echo refused
    lock || echo taken
    if [ -e mailbox.lock ]; then
      lockfile-touch --oneshot --lock-name mailbox.lock; lockfile-remove --lock-name mailbox.lock
      lock; lockfile-remove --lock-name mailbox.lock; echo again
    fi`);
    t.is(said, linked === "yes\n" ? "locked\ntaken\nagain\n" : "refused\ntaken\n");
    await comesToBe(t, objects, []);
  },
);

behaviour("of many that make a pid file, a folder or a link one succeeds", async ({ t, shell, objects }) => {
  const said = await shell(`
    for i in $(seq 20); do (set -o noclobber; echo $BASHPID > app.pid) 2> /dev/null && echo pid & done; wait
    for i in $(seq 20); do mkdir app.lock.d 2> /dev/null && echo folder & done; wait
    for i in $(seq 20); do ln -s $i app.link 2> /dev/null && echo link & done; wait`);
  t.is(said, "pid\nfolder\nlink\n");
  await comesToBe(t, objects, ["app.link", "app.lock.d/", "app.pid"]);
});

behaviour("start-stop-daemon starts a program with a pid file, and stops it by that", async (place) => {
  const { t, setting, shell, objects } = place;
  // SEMANTICS: through libfuse 2 what was made as 0644 is 0666, and a pid file that everybody may write is not believed.
  const narrow =
    setting === "native"
      ? "start-stop-daemon $daemon --stop > /dev/null 2>&1 || echo insecure; chmod 644 d.pid"
      : ":";
  const said = await shell(`
    daemon="--pidfile $PWD/d.pid --exec /bin/sleep"
    start-stop-daemon $daemon --start --background --make-pidfile -- 60; kill -0 $(cat d.pid) && echo runs
    ${narrow}; start-stop-daemon $daemon --stop --remove-pidfile > /dev/null; ls`);
  t.is(said, setting === "native" ? "runs\ninsecure\n" : "runs\n");
  await comesToBe(t, objects, []);
});
