// Several versions of one name open at a time: a replaced file goes on for those who have it, and mixes with nothing.

import test from "ava";
import { BUCKET } from "../helpers/bucket-server.ts";
import { onEachChannel, python } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

/** Replaces objects from elsewhere, and says which bytes something consists of. */
const helpers = (url: string): string => `
import ctypes, os, mmap, time, urllib.request
def put(name, data):
    url = "${url}/upload/storage/v1/b/${BUCKET}/o?uploadType=media&name=" + name
    urllib.request.urlopen(urllib.request.Request(url, data=data, method="POST")).read()
def kinds(data): return "".join(sorted(set(data.decode())))
old, new = b"1" * 65536, b"2" * 65536
`;

eachChannel(
  "RULES 24: who writes a new version gets none of the pages of an old one that others have mapped or send",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const said = await python(
      mount,
      `${helpers(server.url)}
put("mapped", old); put("sent", old); time.sleep(0.3)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
reader, sender = os.open("mapped", os.O_RDONLY), os.open("sent", os.O_RDONLY)
private = libc.mmap(None, 65536, mmap.PROT_READ, mmap.MAP_PRIVATE, reader, 0)
ctypes.string_at(private, 1)
put("mapped", new); put("sent", new); time.sleep(0.5)
for name in "mapped", "sent":
    writer = os.open(name, os.O_RDWR)
    ctypes.string_at(private + 8192, 1)
    os.sendfile(os.open("/dev/null", os.O_WRONLY), sender, 0, 65536)
    seen = os.pread(writer, 65536, 0)
    os.pwrite(writer, seen[:32768], 0)
    os.close(writer)
    print(name, kinds(seen))`,
    );
    t.is(said, "mapped 2\nsent 2\n");
    for (const name of ["mapped", "sent"])
      t.true((await server.get(name))?.equals(Buffer.alloc(65536, "2")), `${name} in the bucket`);
  },
);

eachChannel(
  "an open file that was replaced elsewhere and unlinked here can be asked for its attributes",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const said = await python(
      mount,
      `${helpers(server.url)}
put("f", old[:100]); time.sleep(0.3)
reader = os.open("f", os.O_RDONLY)
put("f", new[:7]); time.sleep(0.5)
assert os.stat("f").st_size == 7
os.unlink("f")
print(os.fstat(reader).st_size, kinds(os.read(reader, 200)))
time.sleep(0.3)
print(os.fstat(reader).st_size, os.listdir("."))`,
    );
    t.is(said, "100 1\n100 []\n");
    t.deepEqual(await server.names(), []);
  },
);

eachChannel(
  "an open file outlives its folder, but CHANNELS: libfuse has no path for it then",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const said = await python(
      mount,
      `
import errno, os
os.makedirs("a/b")
open("a/b/f", "w").write("bytes")
reader = open("a/b/f")
os.unlink("a/b/f"); os.rmdir("a/b"); os.rmdir("a")
try: print(os.fstat(reader.fileno()).st_size, reader.read())
except OSError as error: print(errno.errorcode[error.errno])
reader.close()
print(os.listdir("."))`,
    );
    t.is(said, `${channel.name === "native" ? "ENOENT" : "5 bytes"}\n[]\n`);
    t.deepEqual(await server.names(), []);
  },
);
