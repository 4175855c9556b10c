// Space: fallocate on open files, zeros and holes, and a disk that is full.

import test from "ava";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { session, shell } from "../helpers/mounted.ts";
import { behaviours } from "../helpers/settings.ts";

const run = promisify(execFile);
const behaviour = behaviours();

/** `fallocate(file, mode, offset, length)` answers what came of it. */
const FALLOCATE = `
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
KEEP, HOLE, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32
def fallocate(f, mode, offset, length):
    return "done" if libc.fallocate(f.fileno(), mode, offset, length) == 0 else errno.errorcode[ctypes.get_errno()]
`;
// CHANNELS: the addon does not pass fallocate on. glibc does what posix_fallocate promises by writing.
const REFUSED = "ENOTSUP";

behaviour("posix_fallocate makes a file longer by zeros, never shorter", async ({ t, python, object }) => {
  const seen = await python(`
f = open("f","w+b"); f.write(b"abc"); f.flush(); os.posix_fallocate(f.fileno(), 0, 10000)
print(os.stat("f").st_size); os.posix_fallocate(f.fileno(), 0, 5000); print(os.fstat(f.fileno()).st_size); f.close()`);
  t.is(seen, "10000\n10000\n");
  t.is(await object("f"), `abc${"\0".repeat(9997)}`);
});

behaviour(
  "space is reserved without making the file longer, and then counts as taken",
  async ({ t, setting, python, object }) => {
    const seen = await python(`${FALLOCATE}
f = open("f","wb"); f.write(b"abc"); f.flush()
print(fallocate(f, KEEP, 0, 1 << 20)); s = os.fstat(f.fileno()); print(s.st_size, s.st_blocks >= 2048); f.close()`);
    t.is(seen, setting === "native" ? `${REFUSED}\n3 False\n` : "done\n3 True\n");
    t.is(await object("f"), "abc");
  },
);

behaviour(
  "a hole that is punched reads as zeros, also for those who have read it before, and takes no space",
  async ({ t, setting, path: at, python, object }) => {
    const text = "x".repeat(1 << 20);
    await writeFile(at("f"), text);
    const seen = await python(`${FALLOCATE}
r = open("f","rb"); r.read(); w = open("f","r+b"); before = os.fstat(w.fileno())
print(fallocate(w, HOLE|KEEP, 4096, 1000000))
s = os.fstat(w.fileno()); print(s.st_size, s.st_blocks < 200, s.st_mtime_ns > before.st_mtime_ns)
r.seek(0); b = r.read(); print(b[:4096].count(b"x"), b[4096:1004096].count(0), b[1004096:].count(b"x"), len(b)); w.close()`);
    const native = setting === "native";
    t.is(
      seen,
      native
        ? `${REFUSED}\n1048576 False False\n4096 0 44480 1048576\n`
        : "done\n1048576 True True\n4096 1000000 44480 1048576\n",
    );
    t.is(await object("f"), native ? text : "x".repeat(4096) + "\0".repeat(1_000_000) + "x".repeat(44_480));
  },
);

behaviour(
  "a range becomes zeros, within the file or beyond its end",
  async ({ t, setting, python, object }) => {
    const seen = await python(`${FALLOCATE}
f = open("f","wb"); f.write(b"x" * 10000); f.flush(); g = open("g","wb"); g.write(b"x" * 100); g.flush()
print(fallocate(f, ZERO, 10, 9980), fallocate(g, ZERO|KEEP, 50, 100)); print(os.stat("f").st_size, os.stat("g").st_size)
print(fallocate(f, ZERO, 9995, 10), os.stat("f").st_size)`);
    const native = setting === "native";
    t.is(
      seen,
      native ? `${REFUSED} ${REFUSED}\n10000 100\n${REFUSED} 10000\n` : "done done\n10000 100\ndone 10005\n",
    );
    const zeroed = `${"x".repeat(10)}${"\0".repeat(9980)}xxxxx${"\0".repeat(10)}`;
    t.is(await object("f"), native ? "x".repeat(10_000) : zeroed);
    t.is(await object("g"), native ? "x".repeat(100) : "x".repeat(50) + "\0".repeat(50));
  },
);

behaviour(
  "what was made zero in a large object of which little is here stays zero, and the rest stays",
  async ({ t, setting, server, top, python }) => {
    const size = 66 << 20; // above what is fetched as a whole at open
    await server.put(`${top}/big`, Buffer.alloc(size, "0123456789abcdef"));
    const seen = await python(`${FALLOCATE}
f = open("big","r+b", 0); f.seek(40 << 20); f.read(10)
print(fallocate(f, HOLE|KEEP, 30 << 20, 20 << 20), fallocate(f, ZERO, 5, 5))
print(fallocate(f, 0, ${size}, 7), os.stat("big").st_size - ${size}); os.pwrite(f.fileno(), b"end", 1)
f.seek(0); print(f.read(16)); f.seek((30 << 20) - 16); print(f.read(32)); f.seek((50 << 20) - 16); print(f.read(32)); f.close()`);
    const expected = Buffer.alloc(size + 7, "0123456789abcdef");
    if (setting === "native") {
      t.true(seen.startsWith(`${REFUSED} ${REFUSED}\n${REFUSED} 0\n`));
      expected.write("end", 1);
      t.true(
        (await server.get(`${top}/big`))?.equals(expected.subarray(0, size)),
        "and nothing else changed",
      );
      return;
    }
    const zeros = "\\x00".repeat(16);
    t.is(
      seen,
      `done done\ndone 7\nb'0end4\\x00\\x00\\x00\\x00\\x00abcdef'\n` +
        `b'0123456789abcdef${zeros}'\nb'${zeros}0123456789abcdef'\n`,
    );
    expected
      .fill(0, 30 << 20, 50 << 20)
      .fill(0, 5, 10)
      .fill(0, size)
      .write("end", 1);
    t.true((await server.get(`${top}/big`))?.equals(expected));
  },
);

behaviour("ranges cannot be taken out of a file, nor put in", async ({ t, path: at, python, object }) => {
  await writeFile(at("f"), "x".repeat(16_384));
  const seen = await python(`${FALLOCATE}
f = open("f","r+b"); print(fallocate(f, COLLAPSE, 0, 4096), fallocate(f, INSERT, 0, 4096))
print(fallocate(open("f","rb"), 0, 0, 10))`);
  t.is(seen, "ENOTSUP ENOTSUP\nEBADF\n");
  t.is((await object("f"))?.length, 16_384);
});

/** `holes(file)` answers the pieces of data as SEEK_DATA and SEEK_HOLE show them. */
const HOLES = `
import errno, time
def holes(fd):
    pieces = []; position = 0
    while True:
        try: start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as e: return pieces, errno.errorcode[e.errno]
        position = os.lseek(fd, start, os.SEEK_HOLE); pieces.append((start, position))
`;
const MB = 1 << 20;

behaviour(
  "SEEK_DATA and SEEK_HOLE find the holes of a file that is open, and of one that was written here",
  async ({ t, setting, python }) => {
    const seen = await python(`${HOLES}
f = open("f","wb", 0); f.truncate(5 << 30); os.pwrite(f.fileno(), b"x" * 65536, 3 << 30)
s = os.fstat(f.fileno()); print(s.st_size, s.st_blocks, holes(f.fileno())); os.unlink("f"); time.sleep(0.5); f.close() # the native channel unlinks a little later, and would upload it
g = open("g","wb"); g.truncate(${4 * MB}); os.pwrite(g.fileno(), b"x" * 65536, ${MB}); g.close()
r = os.open("g", os.O_RDONLY); os.read(r, 10); print(holes(r)); print(os.lseek(r, ${2 * MB}, os.SEEK_HOLE))
try: os.lseek(r, ${4 * MB}, os.SEEK_HOLE)
except OSError as e: print(errno.errorcode[e.errno])`);
    // SEMANTICS: libfuse 2.9 does not know lseek.
    const three = 3 * 2 ** 30;
    t.is(
      seen,
      setting === "native"
        ? `${5 * 2 ** 30} 128 ([(0, ${5 * 2 ** 30})], 'ENXIO')\n([(0, ${4 * MB})], 'ENXIO')\n${4 * MB}\nENXIO\n`
        : `${5 * 2 ** 30} 128 ([(${three}, ${three + 65_536})], 'ENXIO')\n([(${MB}, ${MB + 65_536})], 'ENXIO')\n${2 * MB}\nENXIO\n`,
    );
  },
);

behaviour(
  "what is still in the bucket only is data, whatever the local file has there",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/big`, Buffer.alloc(66 * MB));
    const seen = await python(`${HOLES}
r = os.open("big", os.O_RDONLY); os.pread(r, 10, ${20 * MB}); print(holes(r))`);
    t.is(seen, `([(0, ${66 * MB})], 'ENXIO')\n`);
  },
);

behaviour("what is stored through a mapping into a hole is data at once", async ({ t, python }) => {
  const seen = await python(`
import mmap
f = open("f","w+b"); f.truncate(${4 * MB}); r = os.open("f", os.O_RDONLY)
m = mmap.mmap(f.fileno(), 0); m[${2 * MB}:${2 * MB} + 5] = b"hello"
at = os.lseek(r, ${MB}, os.SEEK_DATA); print(at <= ${2 * MB} and os.lseek(r, at, os.SEEK_HOLE) >= ${2 * MB} + 5); m.close(); f.close()`);
  t.is(seen, "True\n");
});

test("device: what does not fit on the local disk is refused with ENOSPC before any of it is taken", async (t) => {
  const small = await mkdtemp(path.join(os.tmpdir(), "sidemount-small-"));
  await run("mount", ["-t", "tmpfs", "-o", "size=32m", "small", small]);
  t.teardown(async () => {
    await run("umount", ["-l", small]);
    await rm(small, { recursive: true });
  });
  const { mount } = await session(t, ["--channel", "device", "--state-dir", path.join(small, "state")]);
  const seen = await shell(
    mount,
    `exec 3> f
     (fallocate -l 1GiB f 2>&1 || true) | sed 's/.*: //'; stat -c %s f
     fallocate -l 1MiB f; fallocate -z -o 0 -l 4096 f; stat -c %s f; exec 3>&-`,
  );
  t.is(seen, "No space left on device\n0\n1048576\n");
  t.is((await readFile(mount.path("f"))).length, 1 << 20);
});
