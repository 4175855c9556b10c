// Copying ranges: copy_file_range between files of the mount, which is what cp uses.

import { readFile, writeFile } from "node:fs/promises";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

behaviour(
  "a range is copied from one file into another, and the other grows where it must",
  async ({ t, path, python, object }) => {
    await writeFile(path("a"), "0123456789");
    const seen = await python(`
a = open("a","rb"); b = open("b","w+b", 0); b.write(b"abcdef")
print(os.copy_file_range(a.fileno(), b.fileno(), 4, 3, 4), os.stat("b").st_size, b.seek(0), b.read())
print(os.copy_file_range(a.fileno(), b.fileno(), 100, 8, 8), os.copy_file_range(a.fileno(), b.fileno(), 5, 10, 0), b.read()); b.close()`);
    t.is(seen, "4 8 0 b'abcd3456'\n2 0 b'89'\n");
    t.is(await object("b"), "abcd345689");
  },
);

behaviour(
  "a range is copied within one file, and only where it does not overlap itself",
  async ({ t, python, object }) => {
    const seen = await python(`
import errno
f = open("f","w+b", 0); f.write(b"0123456789"); print(os.copy_file_range(f.fileno(), f.fileno(), 5, 0, 8))
try: os.copy_file_range(f.fileno(), f.fileno(), 5, 0, 3)
except OSError as e: print(errno.errorcode[e.errno])
f.seek(0); print(f.read()); f.close()`);
    t.is(seen, "5\nEINVAL\nb'0123456701234'\n");
    t.is(await object("f"), "0123456701234");
  },
);

behaviour(
  "who has read the destination before, or mapped it, sees what was copied",
  async ({ t, path, python, object }) => {
    await writeFile(path("a"), "a".repeat(10_000));
    await writeFile(path("b"), "b".repeat(20_000));
    const seen = await python(`
import mmap
r = open("b","rb"); r.read(); a = open("a","rb"); w = open("b","r+b"); m = mmap.mmap(w.fileno(), 0); m[0:3]
before = os.fstat(w.fileno())
print(os.copy_file_range(a.fileno(), w.fileno(), 8000, 1000, 5000), os.fstat(w.fileno()).st_mtime_ns > before.st_mtime_ns)
r.seek(0); s = r.read(); print(s.count(b"a"), s[5000:13000].count(b"a"), m[:].count(b"a")); m.close(); w.close()`);
    t.is(seen, "8000 True\n8000 8000 8000\n");
    t.is(await object("b"), "b".repeat(5000) + "a".repeat(8000) + "b".repeat(7000));
  },
);

behaviour(
  "of a large object that is not here, what is copied is fetched, and nothing else",
  async ({ t, server, top, python, object }) => {
    const big = Buffer.alloc(80 << 20, "0123456789abcdef");
    big.write("here it is", 60 << 20);
    await server.put(`${top}/big`, big);
    const seen = await python(`
a = open("big","rb"); b = open("b","wb"); print(os.copy_file_range(a.fileno(), b.fileno(), 10, 60 << 20, 0)); b.close()`);
    t.is(seen, "10\n");
    t.is(await object("b"), "here it is");
    const bytes = (await server.requests())
      .filter(({ object: name, method }) => name === `${top}/big` && method === "storage.objects.get")
      .reduce((sum, { responseBytes }) => sum + responseBytes, 0);
    t.true(bytes < 8 << 20, `${bytes} bytes were fetched`);
  },
);

behaviour(
  "a range copied into a large object that is not here leaves the rest of it as it was",
  async ({ t, server, top, path, python }) => {
    const big = Buffer.alloc(66 << 20, "0123456789abcdef");
    await server.put(`${top}/big`, big);
    await writeFile(path("a"), Buffer.alloc(1 << 20, "x"));
    const seen = await python(`
a = open("a","rb"); b = open("big","r+b"); print(os.copy_file_range(a.fileno(), b.fileno(), 1 << 20, 7, 50000001)); b.close()`);
    t.is(seen, `${(1 << 20) - 7}\n`);
    big.fill("x", 50_000_001, 50_000_001 + (1 << 20) - 7);
    t.true((await server.get(`${top}/big`))?.equals(big));
  },
);

behaviour("cp copies whole files, also large ones and with holes", async ({ t, path, shell, object }) => {
  const large = Buffer.alloc(70 << 20, "0123456789abcdef");
  await writeFile(path("a"), large);
  await shell(`cp a b; cp --reflink=auto a c; cp --sparse=always a d; cmp a b; cmp a c; cmp a d
    truncate -s 3M holes; printf x | dd of=holes bs=1 seek=1500000 conv=notrunc status=none
    for how in auto always never; do cp --sparse=$how holes holes-$how; cmp holes holes-$how; done`);
  t.true((await readFile(path("c"))).equals(large));
  t.is((await object("holes-auto"))?.indexOf("x"), 1_500_000);
});
