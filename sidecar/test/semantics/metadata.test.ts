// Owner, mode, times and kind: kept in the keys other tools know, changed by the rules every program knows.

import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { mounted, python, session, SETTINGS } from "../helpers/mounted.ts";
import { AS_USER, TRIED } from "../helpers/python-words.ts";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

/** Longer than attribute changes are gathered. */
const GATHERED_MS = 1600;
const USER = 1000;

/** `utimens(name, atime, mtime)` with NOW and OMIT, which Python's os.utime cannot say. */
const UTIMENS = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True); NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
def utimens(name, atime, mtime):
    times = (ctypes.c_long * 4)(*((t // 10**9, t % 10**9)[i] if t not in (NOW, OMIT) else (0, t)[i] for t in (atime, mtime) for i in (0, 1)))
    assert libc.utimensat(-100, name.encode(), times, 0) == 0
`;

for (const { name, options } of SETTINGS) {
  for (const afterS of [0, 0.5])
    test(`${name}: what is stored through a mapping ${afterS} s after the close moves a time that was given before`, async (t) => {
      const { server, mount } = await session(t, options);
      const modified = await python(
        mount,
        `import ctypes, os, time
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p; size, many = ctypes.c_size_t, ctypes.c_long
given, began = 1_000_000_000_123_000_001, time.time()
file = os.open("f", os.O_RDWR | os.O_CREAT); os.pwrite(file, b"x", 4095); os.utime("f", ns=(0, given))
address = libc.mmap(None, size(4096), 3, 1, file, many(0)); os.close(file); time.sleep(${afterS})
ctypes.memmove(address, b"y", 1); libc.munmap(ctypes.c_void_p(address), size(4096)); time.sleep(1.5)
print(os.stat("f").st_mtime - began > -1)`,
      );
      t.is(modified.trim(), "True");
      t.is((await server.get("f"))?.[0], "y".charCodeAt(0));
    });

  test(`${name}: mode, owner, time and kind are the same on a second mount, and right after a remount`, async (t) => {
    const { server, mount } = await session(t, options);
    await python(
      mount,
      `import os, socket
open("file","w").write("x"); os.mkdir("folder"); os.symlink("file","link"); os.mkfifo("fifo"); s = socket.socket(socket.AF_UNIX); s.bind("socket")
for i, name in enumerate(("file","folder","fifo","socket")):
    os.chown(name, 100 + i, 200 + i); os.chmod(name, 0o4601 + i); os.utime(name, ns=(0, 1_000_000_000_123_000_001))
os.chown("link", 300, 301, follow_symlinks=False); os.utime("link", ns=(0, 1_000_000_000_123_000_001), follow_symlinks=False)`,
    );
    const show = `import os, stat
for name in sorted(os.listdir(".")):
    s = os.lstat(name); print(name, stat.filemode(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns)`;
    // SEMANTICS: on the native channel times have milliseconds.
    const at = `1000000000123000${name === "native" ? "000" : "001"}`;
    const expected = `fifo prwS----wx 102 202 ${at}
file -rwS-----x 100 200 ${at}
folder drwS----w- 101 201 ${at}
link lrwxrwxrwx 300 301 ${at}
socket srwS---r-- 103 203 ${at}
`;
    t.is(await python(mount, show), expected);
    await mount.restart();
    t.is(await python(mount, show), expected);
    const other = await mounted(t, server, options);
    t.is(await python(other, show), expected);
    t.is(await python(other, `import os; print(os.readlink("link"), open("link").read())`), "file x\n");
  });
}

behaviour(
  "other tools find attributes in their own keys, and what is as the mount's options say is not stored",
  async ({ t, server, top, python }) => {
    await python(`import socket
open("plain","w").close(); os.chmod("plain", 0o666); os.chown("plain", 0, 0)
os.mkfifo("fifo", 0o640); s = socket.socket(socket.AF_UNIX); s.bind("socket"); os.chmod("socket", 0o755)
os.mkdir("folder"); os.chmod("folder", 0o750); os.chown("folder", 7, 8)`);
    await delay(GATHERED_MS);
    const keys = async (name: string): Promise<Record<string, string>> =>
      Object.fromEntries(
        Object.entries((await server.stat(`${top}/${name}`))?.metadata ?? {}).filter(
          ([key]) => !/mtime|^sidemount/.test(key),
        ),
      );
    t.deepEqual(await keys("plain"), {});
    t.deepEqual(await keys("fifo"), { "goog-reserved-posix-mode": "10640" });
    t.deepEqual(await keys("socket"), { "goog-reserved-posix-mode": "140755" });
    t.deepEqual(await keys("folder/"), {
      "goog-reserved-posix-mode": "750",
      "goog-reserved-posix-uid": "7",
      "goog-reserved-posix-gid": "8",
    });
  },
);

behaviour(
  "attributes that gsutil, gcloud, rclone and gcsfuse have written are shown",
  async ({ t, server, top, python }) => {
    const gsutil = {
      "goog-reserved-posix-uid": "33",
      "goog-reserved-posix-gid": "44",
      "goog-reserved-posix-mode": "640",
      "goog-reserved-file-mtime": "1500000000",
      "goog-reserved-file-atime": "1500000001",
    };
    await server.put(`${top}/gsutil`, "x", gsutil);
    await server.put(`${top}/rclone`, "x", { mtime: "2017-07-14T04:40:00.123456789+02:00" });
    await server.put(`${top}/gcsfuse`, "", { gcsfuse_symlink_target: "gsutil" });
    await server.put(`${top}/wrong`, "x", {
      "goog-reserved-posix-uid": "-1",
      "goog-reserved-posix-mode": "rwx",
      mtime: "yesterday",
    });
    const seen = await python(`
for n in ("gsutil","rclone","wrong"): s = os.stat(n); print(s.st_uid, s.st_gid, oct(s.st_mode), s.st_mtime_ns)
print(os.readlink("gcsfuse"), open("gcsfuse").read())`);
    const [first, second, third, link] = seen.split("\n");
    t.is(first, "33 44 0o100640 1500000000000000000");
    t.regex(second ?? "", /^0 0 0o100666 1500000000123(456789|000000)$/);
    t.regex(third ?? "", /^0 0 0o100666 1\d{18}$/, "what makes no sense is as if it were not there");
    t.is(link, "gsutil x");
  },
);

behaviour(
  "setuid and setgid are lost when somebody without privilege writes, truncates or changes the owner",
  async ({ t, setting, python }) => {
    const seen = await python(`${AS_USER}
def fresh():
    open("f","w").write("program"); os.chown("f", ${USER}, ${USER}); os.chmod("f", 0o6777)
def left(action):
    fresh(); said = as_user(${USER}, ${USER}, [2000], action); print(said, oct(os.stat("f").st_mode & 0o7777))
os.chmod(".", 0o777)
left(lambda: os.write(os.open("f", os.O_WRONLY), b"x"))
left(lambda: os.truncate("f", 3))
left(lambda: os.close(os.open("f", os.O_WRONLY|os.O_TRUNC)))
left(lambda: os.close(os.open("f", os.O_RDONLY|os.O_TRUNC)))
left(lambda: oct(os.fstat(os.open("f", os.O_RDWR|os.O_TRUNC)).st_mode & 0o7777))
left(lambda: os.chown("f", -1, 2000))
left(lambda: open("f").read())
fresh(); os.chown("f", 5, 6); print(oct(os.stat("f").st_mode & 0o7777))`);
    const opened = setting === "native" ? "0o6777" : "0o777"; // CHANNELS: nobody can tell who opens it
    const emptied = `None ${opened}\nNone ${opened}\n${opened} ${opened}\n`;
    t.is(seen, `1 0o777\nNone 0o777\n${emptied}None 0o777\nprogram 0o6777\n0o777\n`);
  },
);

behaviour(
  "who owns a file may change its mode, and give it to a group of his own; others may not",
  async ({ t, python }) => {
    const seen = await python(`${TRIED}${AS_USER}
os.chmod(".", 0o777); open("mine","w").close(); os.chown("mine", ${USER}, ${USER}); open("theirs","w").close(); os.chown("theirs", 33, 33)
user = lambda action, *arguments: as_user(${USER}, ${USER}, [2000], lambda: tried(action, *arguments))
print(user(os.chmod, "mine", 0o600), user(os.chown, "mine", -1, 2000), user(os.chown, "mine", -1, 3000), user(os.chown, "mine", 33, -1))
print(user(os.chmod, "theirs", 0o600), user(os.chown, "theirs", ${USER}, -1), user(os.utime, "theirs", (1, 1)), user(os.utime, "mine", (1, 1)))
os.chown("mine", ${USER}, 3000); print(user(os.chmod, "mine", 0o2755), oct(os.stat("mine").st_mode & 0o7777))`);
    t.is(seen, "ok ok EPERM EPERM\nEPERM EPERM EPERM ok\nok 0o755\n", "no setgid for a group he is not in");
  },
);

behaviour(
  "in a sticky folder everybody makes files, and removes and renames his own only",
  async ({ t, python, objects }) => {
    const seen = await python(`${TRIED}${AS_USER}
os.mkdir("tmp"); os.chmod("tmp", 0o1777)
for name, owner in (("tmp/a", 33), ("tmp/b", ${USER}), ("tmp/c", ${USER})): open(name,"w").close(); os.chown(name, owner, owner)
user = lambda action, *arguments: as_user(${USER}, ${USER}, [], lambda: tried(action, *arguments))
print(user(os.unlink, "tmp/a"), user(os.rename, "tmp/a", "tmp/x"), user(os.rename, "tmp/b", "tmp/a"), user(os.rename, "tmp/b", "tmp/y"), user(os.unlink, "tmp/c"))
print(user(open, "tmp/new", "w"), user(os.mkdir, "tmp/folder"))`);
    t.is(seen, "EPERM EPERM EPERM ok ok\nok ok\n");
    t.deepEqual(await objects(), ["tmp/", "tmp/a", "tmp/folder/", "tmp/new", "tmp/y"]);
  },
);

behaviour("a program's further groups count", async ({ t, python }) => {
  const seen = await python(`${TRIED}${AS_USER}
open("f","w").write("x"); os.chown("f", 0, 2000); os.chmod("f", 0o640); os.mkdir("d"); os.chown("d", 0, 2000); os.chmod("d", 0o770)
for groups in ([2000, 2001], [2001]):
    user = lambda action, *arguments: as_user(${USER}, ${USER}, groups, lambda: tried(action, *arguments))
    print(user(open, "f"), user(open, "f", "a"), user(open, "d/%d" % len(groups), "w"), user(os.listdir, "d"))`);
  t.is(seen, "ok EACCES ok ok\nEACCES EACCES EACCES EACCES\n");
});

behaviour("what is made has the mode it was asked for, less the umask", async ({ t, python }) => {
  const seen = await python(`
os.umask(0o027); os.close(os.open("f", os.O_CREAT|os.O_WRONLY, 0o777)); os.mkdir("d", 0o777); os.mkfifo("p", 0o666); os.mknod("n", 0o100666)
os.umask(0o777); os.close(os.open("none", os.O_CREAT|os.O_WRONLY, 0o666))
print(*(oct(os.stat(n).st_mode & 0o7777) for n in ("f","d","p","n","none")))`);
  t.is(seen, "0o750 0o750 0o640 0o640 0o0\n");
});

behaviour(
  "what is made in a setgid folder belongs to the folder's group, and folders pass that on",
  async ({ t, python }) => {
    const seen = await python(`
os.mkdir("shared"); os.chown("shared", 0, 2000); os.chmod("shared", 0o2775)
open("shared/f","w").close(); os.mkdir("shared/d"); open("shared/d/g","w").close(); os.mkfifo("shared/p"); os.symlink("x","shared/l")
print(*(os.lstat("shared/" + n).st_gid for n in ("f","d","d/g","p","l")), oct(os.stat("shared/d").st_mode & 0o7000), oct(os.stat("shared/f").st_mode & 0o7000))`);
    t.is(seen, "2000 2000 2000 2000 2000 0o2000 0o0\n");
  },
);

behaviour(
  "one of a file's two times is set to now, or left, as utimensat says",
  async ({ t, setting, python }) => {
    const seen = await python(`${UTIMENS}
import time
open("f","w").close(); old = 10**18 + 5_000_000
times = lambda: tuple("now" if abs(t - time.time_ns()) < 60 * 10**9 else t - 10**18 for t in (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))
utimens("f", old, old + 1_000_000); print(times())
utimens("f", OMIT, old); print(times()); utimens("f", old + 2_000_000, OMIT); print(times())
utimens("f", OMIT, OMIT); print(times()); utimens("f", NOW, NOW); print(times())
utimens("f", old, old); utimens("f", NOW, OMIT); print(times())`);
    // SEMANTICS: through the addon, setting one time to now and leaving the other sets both.
    const last = setting === "native" ? "('now', 'now')" : "('now', 5000000)";
    t.is(
      seen,
      `(5000000, 6000000)\n(5000000, 5000000)\n(7000000, 5000000)\n(7000000, 5000000)\n('now', 'now')\n${last}\n`,
    );
  },
);

behaviour(
  "the change time moves with every change of a file's bytes, attributes, name or links, and not with reading",
  async ({ t, python }) => {
    const seen = await python(`
import time
f = open("f","w+"); f.write("x"); f.flush(); os.fsync(f.fileno())
def moves(action):
    before = os.fstat(f.fileno()).st_ctime_ns; time.sleep(0.03); action(); return os.fstat(f.fileno()).st_ctime_ns > before
print(moves(lambda: os.chmod("f", 0o600)), moves(lambda: os.chown("f", 1, 1)), moves(lambda: os.utime("f", (1, 1))))
print(moves(lambda: os.rename("f", "g")), moves(lambda: os.truncate("g", 9)), moves(lambda: os.write(f.fileno(), b"y")))
print(moves(lambda: open("g").read()), moves(lambda: os.stat("g")), moves(lambda: (os.unlink("g"), time.sleep(0.3))))`);
    t.is(seen, "True True True\nTrue True True\nFalse False True\n");
  },
);

behaviour("reading does not move the access time; setting it does", async ({ t, python }) => {
  const seen = await python(`
open("f","w").write("x"); os.utime("f", (1000, 2000)); open("f").read(); open("f").read(); print(os.stat("f").st_atime)
os.utime("f", (3000, 2000)); print(os.stat("f").st_atime, os.stat("f").st_mtime)`);
  t.is(seen, "1000.0\n3000.0 2000.0\n");
});

behaviour(
  "a folder's times move when names come, go and change in it, and not when a file is written to",
  async ({ t, python }) => {
    const seen = await python(`
import time
os.mkdir("d"); os.mkdir("e")
def moves(action):
    before = os.stat("d"); time.sleep(0.03); action(); after = os.stat("d"); return (after.st_mtime_ns > before.st_mtime_ns, after.st_ctime_ns > before.st_ctime_ns)
for action in (lambda: open("d/f","w").close(), lambda: os.mkdir("d/s"), lambda: os.symlink("x","d/l"), lambda: os.rename("d/f","d/g"), lambda: os.rename("d/l","e/l"),
    lambda: os.rename("e/l","d/l"), lambda: os.unlink("d/l"), lambda: os.rmdir("d/s"), lambda: os.chmod("d", 0o700), lambda: open("d/g","w").write("more"), lambda: os.listdir("d")):
    print(*moves(action))`);
    t.is(seen, `${"True True\n".repeat(8)}False True\nFalse False\nFalse False\n`);
  },
);

behaviour(
  "a file keeps its inode number when it is renamed, written, or asked about again",
  async ({ t, python }) => {
    const seen = await python(`
os.mkdir("d"); os.mkdir("d/e"); open("f","w").close(); os.symlink("f","l")
number = lambda name: os.lstat(name).st_ino
before = [number(n) for n in ("f","l","d","d/e")]; assert before == [number(n) for n in ("f","l","d","d/e")]
open("f","a").write("x"); open("f","w").write("yy"); os.rename("f","d/e/f"); os.rename("d","z"); os.rename("l","z/l")
print(before == [number(n) for n in ("z/e/f","z/l","z","z/e")], len(set(before)), os.fstat(os.open("z/e/f", os.O_RDONLY)).st_ino == before[0])
print(sorted(e.inode() for e in os.scandir("z")) == sorted(number("z/" + n) for n in ("e","l")))`);
    t.is(seen, "True 4 True\nTrue\n");
  },
);

test("what a remount does not keep: the time of the last change and of the last access", async (t) => {
  const { mount } = await session(t);
  const show = `import os; s = os.stat("f"); print(s.st_mtime, s.st_atime, s.st_ctime > 1e9)`;
  t.is(
    await python(mount, `import os; open("f","w").write("x"); os.utime("f", (1000, 2000)); ${show}`),
    "2000.0 1000.0 True\n",
  );
  await mount.restart();
  t.is(await python(mount, show), "2000.0 2000.0 True\n");
});
