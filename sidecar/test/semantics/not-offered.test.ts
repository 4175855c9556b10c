// What is not offered, and how programs are told so that they do without.

import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

const SAID = `
import errno
def said(call, *words):
    try: return call(*words)
    except OSError as e: return errno.errorcode[e.errno]
`;

behaviour(
  "a file without a name cannot be made, and programs that want one make one with a name",
  async ({ t, python, objects }) => {
    const seen = await python(`${SAID}
import tempfile
print(said(os.open, ".", os.O_TMPFILE|os.O_RDWR))
with tempfile.TemporaryFile(dir=".") as f: f.write(b"abc"); f.seek(0); print(f.read(), os.listdir("."))
print(os.listdir("."))`);
    t.is(seen, "ENOTSUP\nb'abc' []\n[]\n");
    t.deepEqual(await objects(), []);
  },
);

behaviour("hard links and clones are refused", async ({ t, python, shell }) => {
  const seen = await python(`${SAID}
import fcntl
open("a","w").write("x"); print(said(os.link, "a", "b"))
a = open("a"); c = open("c","w"); print(said(fcntl.ioctl, c.fileno(), 0x40049409, a.fileno()))`);
  t.is(seen, "EPERM\nENOTSUP\n");
  t.is(
    await shell("cp --reflink=auto a d; cat d; (cp --reflink=always a e 2>&1 || true) | sed 's/.*: //'; ls"),
    "xOperation not supported\na\nc\nd\ne\n",
  );
});

behaviour(
  "there are no flags of files, and what asks for them is told that nobody knows the question",
  async ({ t, python, shell }) => {
    const seen = await python(`${SAID}
import fcntl
for at in ("f", "."):
    f = os.open(at, os.O_CREAT if at == "f" else os.O_RDONLY); print(*[said(fcntl.ioctl, f, request, bytes(8)) for request in (0x80086601, 0x40086602, 0x5401)])`);
    t.is(seen, "ENOTTY ENOTTY ENOTTY\n".repeat(2));
    t.regex(
      await shell("filefrag f; lsattr f 2>&1 || true"),
      /^f: 0 extents found\n.*While reading flags on f\n$/,
    );
  },
);

behaviour("a file can always be read and written, poll says", async ({ t, python }) => {
  const seen = await python(`
import select
p = select.poll(); p.register(os.open("f", os.O_CREAT|os.O_RDWR), select.POLLIN|select.POLLOUT); print(p.poll(1000)[0][1] == select.POLLIN|select.POLLOUT)`);
  t.is(seen, "True\n");
});

behaviour("no file has a time of birth, and stat shows all others", async ({ t, shell }) => {
  t.is(await shell("touch -d @1500000000 f; stat -c '%w %Y' f"), "- 1500000000\n");
});

behaviour(
  "a bucket has no size: there is always room, and no program takes it for full",
  async ({ t, python, shell }) => {
    const seen = await python(`
s = os.statvfs("."); print(s.f_blocks * s.f_frsize == 1 << 50, s.f_bavail * s.f_frsize == 1 << 50, s.f_favail > 1 << 31, s.f_namemax)`);
    t.is(seen, "True True True 255\n");
    t.is(await shell("df -h --output=size,used,avail,pcent . | tail -n 1 | tr -s ' '"), " 1.0P 0 1.0P 0%\n");
  },
);

behaviour(
  "nobody becomes somebody else by what lies here, and no device is opened",
  async ({ t, mount, shell }) => {
    const options = await shell(`findmnt -n -o OPTIONS ${mount.directory} | tail -n 1`);
    for (const each of ["nosuid", "nodev"]) t.true(options.split(",").includes(each), options);
  },
);
