// Files: written, read, appended to, cut, replaced and removed, as on a local disk.

import { createHash } from "node:crypto";
import { open, readFile, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

behaviour("what was written is in the bucket when close returns", async ({ t, path, object }) => {
  await writeFile(path("a"), "hello");
  t.is(await object("a"), "hello");
});

behaviour("an empty file is an object of no bytes", async ({ t, shell, object }) => {
  await shell("touch empty; : > also-empty");
  t.is(await object("empty"), "");
  t.is(await object("also-empty"), "");
});

behaviour(
  "a file made by opening it for reading, as flock does, is in the bucket when it is closed",
  async ({ t, python, object }) => {
    await python('os.close(os.open("locked", os.O_RDONLY | os.O_CREAT, 0o644))');
    t.is(await object("locked"), "");
  },
);

behaviour(
  "a file that was emptied is empty in the bucket although the program has it open for reading too",
  async ({ t, path, object }) => {
    await writeFile(path("f"), "bytes");
    const reader = await open(path("f"));
    await writeFile(path("f"), "");
    t.is(await object("f"), "");
    await reader.close();
  },
);

behaviour(
  "O_TRUNC empties a file that is opened for reading only, as on Linux",
  async ({ t, python, object }) => {
    await python(`open("f", "w").write("bytes")
f = os.open("f", os.O_RDONLY | os.O_TRUNC); print(os.fstat(f).st_size); os.close(f)`);
    t.is(await object("f"), "");
  },
);

behaviour("fsync puts into the bucket what was written so far", async ({ t, python, object }) => {
  await python(`
fd = os.open("log", os.O_CREAT|os.O_WRONLY); os.write(fd, b"one"); os.fsync(fd); os._exit(0) if os.fork() == 0 else os.wait()
open("/tmp/sidemount-fsync", "w").close()
os.write(fd, b"two"); os.close(fd)`);
  t.is(await object("log"), "onetwo");
});

behaviour("a file is read while it is still being written, as on a disk", async ({ t, python }) => {
  const seen = await python(`
w = open("f", "wb", 0); w.write(b"abc"); r = open("f", "rb"); first = r.read(); w.write(b"def"); print(first + r.read())`);
  t.is(seen.trim(), "b'abcdef'");
});

behaviour("overwriting, shorter and longer, leaves exactly the new bytes", async ({ t, path, object }) => {
  for (const text of ["a long first version", "short", "a much, much longer version than any before"]) {
    await writeFile(path("f"), text);
    t.is(await readFile(path("f"), "utf8"), text);
    t.is(await object("f"), text);
  }
});

behaviour(
  "appending keeps what is there, also in a large cold object",
  async ({ t, server, top, shell, python }) => {
    const big = Buffer.alloc(10 << 20, "0123456789abcdef");
    await server.put(`${top}/big`, big);
    await shell("echo one >> big; echo two >> big");
    const bytes = await server.get(`${top}/big`);
    t.is(bytes?.length, big.length + 8);
    t.is(bytes?.subarray(-8).toString(), "one\ntwo\n");
    t.true(bytes?.subarray(0, big.length).equals(big));
    t.is((await python(`print(open("big","rb").read()[-4:])`)).trim(), "b'two\\n'");
  },
);

behaviour(
  "a few bytes changed inside a large cold object leave the rest as it was",
  async ({ t, server, top, python }) => {
    const big = Buffer.alloc(5 << 20, "x");
    await server.put(`${top}/big`, big);
    await python(`f = open("big","r+b"); f.seek(3000000); f.write(b"here"); f.close()`);
    big.write("here", 3_000_000);
    t.true((await server.get(`${top}/big`))?.equals(big));
  },
);

behaviour(
  "truncating cuts and extends with zeros, by name and by descriptor",
  async ({ t, python, object }) => {
    await python(`
open("f","w").write("hello world")
os.truncate("f", 5); f = open("f","r+b"); os.ftruncate(f.fileno(), 8); f.close()
open("g","w").write("gone"); os.truncate("g", 0)`);
    t.is(await object("f"), "hello\0\0\0");
    t.is(await object("g"), "");
  },
);

behaviour("a hole reads as zeros", async ({ t, python, object }) => {
  await python(`f = open("f","wb"); f.seek(100000); f.write(b"end"); f.close()`);
  t.is(await object("f"), `${"\0".repeat(100_000)}end`);
});

behaviour("large files arrive as they were written", async ({ t, server, top, python }) => {
  const sum = await python(`
import hashlib, random
h = hashlib.sha256(); r = random.Random(1)
with open("large","wb") as f:
    for _ in range(30):
        b = r.randbytes(1 << 20); h.update(b); f.write(b)
print(h.hexdigest())
assert hashlib.sha256(open("large","rb").read()).hexdigest() == h.hexdigest()`);
  const bytes = await server.get(`${top}/large`);
  t.is(
    createHash("sha256")
      .update(bytes ?? "")
      .digest("hex"),
    sum.trim(),
  );
});

behaviour("O_EXCL creates a file only if there is none", async ({ t, server, top, python }) => {
  await server.put(`${top}/there`, "x");
  const said = await python(`
import errno
os.close(os.open("new", os.O_CREAT|os.O_EXCL|os.O_WRONLY))
for name in ("new","there"):
    try: os.open(name, os.O_CREAT|os.O_EXCL|os.O_WRONLY)
    except OSError as e: print(errno.errorcode[e.errno])`);
  t.is(said, "EEXIST\nEEXIST\n");
});

behaviour("opening with O_TRUNC empties a file, also for reading only", async (place) => {
  const { t, server, top, python, object } = place;
  await server.put(`${top}/small`, "old bytes");
  await server.put(`${top}/large`, Buffer.alloc(70 << 20, "y"));
  const said = await python(`
for name in ("small", "large"):
    f = os.open(name, os.O_RDONLY|os.O_TRUNC); print(os.fstat(f).st_size, os.read(f, 10)); os.close(f); print(os.path.getsize(name))`);
  t.is(said, "0 b''\n0\n0 b''\n0\n");
  t.is(await object("small"), "");
  t.is(await object("large"), "");
});

behaviour("a program that runs cannot be written to or emptied", async ({ t, python, object }) => {
  const said = await python(`
import errno, subprocess, shutil
shutil.copy("/bin/sleep", "program"); size = os.path.getsize("program")
running = subprocess.Popen(["./program", "60"])
for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY|os.O_TRUNC, os.O_RDONLY|os.O_TRUNC):
    try: os.open("program", flags); print("opened")
    except OSError as e: print(errno.errorcode[e.errno])
try: os.truncate("program", 0)
except OSError as e: print(errno.errorcode[e.errno])
print(running.poll(), os.path.getsize("program") == size); running.kill(); running.wait()`);
  t.is(said, `${"ETXTBSY\n".repeat(5)}None True\n`);
  t.true(((await object("program")) ?? "").length > 0);
});

behaviour(
  "an unlinked file can be read and written by those who have it open, and leaves nothing behind",
  async ({ t, server, top, python, objects }) => {
    await server.put(`${top}/big`, Buffer.alloc(3 << 20, "y"));
    const seen = await python(`
f = open("new","w+b"); f.write(b"abc"); f.flush(); os.unlink("new"); f.write(b"def"); f.seek(0); print(f.read()); f.close()
g = open("big","rb"); g.read(1); os.unlink("big"); print(os.path.exists("big"), len(g.read())); g.close()`);
    t.is(seen, `b'abcdef'\nFalse ${(3 << 20) - 1}\n`);
    await delay(500);
    t.deepEqual(await objects(), []);
  },
);

behaviour(
  "what a mapping changes stays in its place, also of a file that is open for appending",
  async ({ t, python, object }) => {
    await python(`import mmap
f = os.open("log", os.O_RDWR | os.O_CREAT | os.O_APPEND); os.write(f, b"one two")
m = mmap.mmap(f, 0); m[:3] = b"ONE"; m.flush(); m.close(); os.write(f, b" three"); os.close(f)`);
    t.is(await object("log"), "ONE two three");
  },
);

behaviour("a mapping reads and writes the file", async ({ t, setting, python, object }) => {
  const seen = await python(`
import errno, mmap
f = open("m","w+b"); f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[4096:4101] = b"hello"; m.flush(); m.close(); f.close()
f = open("m","rb")
for flags in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
    try: print(mmap.mmap(f.fileno(), 0, flags=flags, prot=mmap.PROT_READ)[4096:4101])
    except OSError as e: print(errno.errorcode[e.errno])`);
  // SEMANTICS: a file opened for reading only cannot be mapped shared through libfuse 2.
  t.is(seen, `b'hello'\n${setting === "native" ? "ENODEV" : "b'hello'"}\n`);
  t.is((await object("m"))?.slice(4096, 4101), "hello");
});

behaviour(
  "renaming replaces the target at once, and open handles go on",
  async ({ t, python, object, objects }) => {
    const seen = await python(`
open("a","w").write("A"); open("b","w").write("B")
old = open("b"); os.replace("a","b"); print(old.read(), open("b").read(), os.listdir("."))
f = open("x","w"); f.write("first"); f.flush(); os.rename("x","y"); f.write(" second"); f.close(); print(open("y").read())`);
    t.is(seen, "B A ['b']\nfirst second\n");
    t.is(await object("b"), "A");
    t.is(await object("y"), "first second");
    t.deepEqual(await objects(), ["b", "y"]);
  },
);

behaviour(
  "a file renamed before its first close is inserted once, under the final name",
  async ({ t, server, top, python, objects }) => {
    await python(`f = open("t.tmp","w"); f.write("x"); os.rename("t.tmp","t"); f.close()`);
    t.deepEqual(await objects(), ["t"]);
    const writes = (await server.requests()).filter(({ object }) => object?.startsWith(`${top}/t`));
    t.deepEqual(
      writes.filter(({ method }) => method === "storage.objects.insert").map(({ object }) => object),
      [`${top}/t`],
    );
  },
);

behaviour("renaming onto nothing can be demanded", async ({ t, setting, server, top, python }) => {
  await server.put(`${top}/b`, "B");
  const said = await python(`
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
open("a","w").write("A")
for target in (b"b", b"c"): print("done" if libc.renameat2(-100, b"a", -100, target, 1) == 0 else errno.errorcode[ctypes.get_errno()])`);
  // SEMANTICS: libfuse 2 knows no flags of rename. Programs then look first and rename afterwards.
  t.is(said, `EEXIST\n${setting === "native" ? "EINVAL" : "done"}\n`);
  t.is((await server.get(`${top}/b`))?.toString(), "B");
});

behaviour(
  "RULES 24: an open that learns of a newer version reads the newer version, and nothing else",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/f`, "old version, the longer one");
    const seen = await python(`
import time, urllib.request
print(open("f").read()); time.sleep(0.3)
r = urllib.request.Request("${server.url}/upload/storage/v1/b/test/o?uploadType=media&name=${top}%2Ff", data=b"new", method="POST")
urllib.request.urlopen(r).read(); time.sleep(0.2)
print(open("f").read(), os.stat("f").st_size)`);
    t.is(seen, "old version, the longer one\nnew 3\n");
  },
);

behaviour(
  "RULES 1: what is stored through a mapping after the close reaches the bucket",
  async ({ t, python, object }) => {
    await python(`
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True); libc.mmap.restype = ctypes.c_void_p
fd = os.open("m", os.O_CREAT|os.O_RDWR); os.write(fd, b"." * 4096)
address = libc.mmap(None, 4096, 3, 1, fd, ctypes.c_long(0)); os.close(fd)
time.sleep(0.3); ctypes.memmove(address, b"later", 5); time.sleep(0.1)`);
    for (let waited = 0; waited < 50 && !(await object("m"))?.startsWith("later"); waited += 1)
      await delay(100);
    t.true((await object("m"))?.startsWith("later"));
  },
);

/** Python: `stored` in `m` through a mapping, by a program that has closed it; `reader` has it open. Then what the bucket has. */
const STORED_LATE = (url: string, top: string, reader: string) => `
import ctypes, time, urllib.request
libc = ctypes.CDLL(None, use_errno=True); libc.mmap.restype = ctypes.c_void_p; libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
fd = os.open("m", os.O_CREAT|os.O_RDWR); os.write(fd, b"." * 4096)
address = libc.mmap(None, 4096, 3, 1, fd, ctypes.c_long(0))
${reader}
def store(text):
    ctypes.memmove(address, text, len(text))
def stored(text):
    for waited in range(50):
        time.sleep(0.1)
        if urllib.request.urlopen("${url}/storage/v1/b/test/o/${top}%2Fm?alt=media").read().startswith(text): return True
`;

behaviour(
  "RULES 1: what is stored through a mapping after the close reaches the bucket, also while others read the file",
  async ({ t, server, top, python }) => {
    const seen =
      await python(`${STORED_LATE(server.url, top, 'reader = os.open("m", os.O_RDONLY); os.close(fd)')}
store(b"later"); libc.munmap(address, 4096)
print(stored(b"later"), os.pread(reader, 5, 0))`);
    t.is(seen, "True b'later'\n");
  },
);

behaviour(
  "RULES 1: what is stored through a mapping reaches the bucket while it lasts, also if the file was opened for reading since",
  async ({ t, setting, server, top, python }) => {
    t.pass();
    if (setting !== "passthrough") return; // elsewhere the kernel says that the file is closed when the mapping ends
    const seen =
      await python(`${STORED_LATE(server.url, top, 'os.close(fd); reader = os.open("m", os.O_RDONLY)')}
for text in (b"once", b"then", b"last"): store(text); print(stored(text))`);
    t.is(seen, "True\nTrue\nTrue\n");
  },
);

behaviour(
  "cutting a file to the length it has moves its time, also one that was set, and uploads nothing",
  async ({ t, server, top, python }) => {
    const seen = await python(`
import time
with open("f", "w") as f: f.write("12345")
os.utime("f", (1, 1)); time.sleep(1.2)
os.truncate("f", 5); print(time.time() - os.stat("f").st_mtime < 60)
os.truncate("f", 5); time.sleep(1.5); print(time.time() - os.stat("f").st_mtime < 60)`);
    t.is(seen, "True\nTrue\n");
    const inserts = (await server.requests()).filter(
      ({ method, object }) => method === "storage.objects.insert" && object === `${top}/f`,
    );
    t.is(inserts.length, 1);
  },
);

behaviour(
  "RULES 2: a change whose modification time was set back is a change",
  async ({ t, python, object }) => {
    await python(`
f = open("f","w+b",0); f.write(b"one"); os.fsync(f.fileno()); s = os.stat("f")
f.seek(0); f.write(b"two"); os.utime("f", ns=(s.st_atime_ns, s.st_mtime_ns)); f.close()`);
    t.is(await object("f"), "two");
  },
);

behaviour(
  "RULES 2: two changes within one tick of the clock both reach the bucket",
  async ({ t, python, object }) => {
    await python(`
for i in range(200):
    f = open("f","r+b" if i else "w+b",0); f.write(b"%03d" % i); os.fsync(f.fileno()); f.seek(0); f.write(b"%03d!" % i); f.close()`);
    t.is(await object("f"), "199!");
  },
);

behaviour(
  "RULES 15: a version of the same size within the same second has another modification second",
  async ({ t, python }) => {
    const seconds = await python(`
seen = []
for text in ("aaa","bbb","ccc"):
    open("f","w").write(text); seen.append(int(os.stat("f").st_mtime))
print(len(set(seen)))`);
    t.is(seconds.trim(), "3");
  },
);
