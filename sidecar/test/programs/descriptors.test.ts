// Descriptors: duplicated, opened again by /dev/fd, for a path only, and not through links.

import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

behaviour(
  "duplicated descriptors share their place in the file, and each close stores what is there",
  async (place) => {
    const { t, server, top, python, object } = place;
    const said = await python(`
import urllib.request
stored = lambda: urllib.request.urlopen("${server.url}/storage/v1/b/test/o/${top}%2Ff?alt=media").read()
f = os.open("f", os.O_RDWR|os.O_CREAT); g = os.dup(f); h = os.open("f", os.O_RDWR)
os.write(f, b"one "); os.write(g, b"two "); print(os.lseek(f, 0, os.SEEK_CUR), os.lseek(h, 0, os.SEEK_CUR))
os.close(f); print(stored()); os.write(g, b"three"); os.close(g); print(stored())
print(os.read(h, 100)); os.close(h)`);
    t.is(said, "8 0\nb'one two '\nb'one two three'\nb'one two three'\n");
    t.is(await object("f"), "one two three");
  },
);

behaviour(
  "a descriptor survives that another takes its number's file away",
  async ({ t, python, object }) => {
    await python(`
f = os.open("log", os.O_WRONLY|os.O_CREAT|os.O_APPEND); g = os.open("other", os.O_WRONLY|os.O_CREAT)
os.write(f, b"before "); os.dup2(f, g); os.close(f); os.write(g, b"after"); os.close(g)`);
    t.is(await object("log"), "before after");
    t.is(await object("other"), "");
  },
);

behaviour("/dev/fd/N opens a file anew, with a place of its own", async ({ t, shell, python, object }) => {
  await shell(
    "printf 'from a pipe' | tee /dev/fd/3 3> copy > /dev/null; exec 4< copy; cat /dev/fd/4 /dev/fd/4 > twice",
  );
  t.is(await object("copy"), "from a pipe");
  t.is(await object("twice"), "from a pipefrom a pipe");
  const said = await python(`
f = os.open("f", os.O_RDWR|os.O_CREAT); os.write(f, b"0123456789")
g = os.open(f"/dev/fd/{f}", os.O_RDONLY); print(os.read(g, 3), os.read(g, 3))
w = os.open(f"/proc/self/fd/{g}", os.O_WRONLY); os.pwrite(w, b"X", 0); os.close(w); print(os.pread(f, 3, 0))
print(os.readlink(f"/dev/fd/{f}").rsplit("/", 1)[1])`);
  t.is(said, "b'012' b'345'\nb'X12'\nf\n");
});

behaviour("/dev/fd/N opens a file that has no name any more", async ({ t, python }) => {
  const said = await python(`
import errno
f = os.open("f", os.O_RDWR|os.O_CREAT); os.write(f, b"0123456789"); os.unlink("f")
try: g = os.open(f"/dev/fd/{f}", os.O_RDWR); print(os.read(g, 3)); os.write(g, b"X"); print(os.pread(f, 5, 0))
except OSError as e: print(errno.errorcode[e.errno])`);
  t.is(said, "b'012'\nb'012X4'\n");
});

behaviour(
  "O_PATH gives a descriptor that leads to the file and does nothing else",
  async ({ t, shell, python }) => {
    await shell("mkdir folder; echo inner > folder/f; ln -s f folder/link");
    const said = await python(`
import errno
folder = os.open("folder", os.O_PATH); f = os.open("f", os.O_PATH|os.O_NOFOLLOW, dir_fd=folder)
link = os.open("link", os.O_PATH|os.O_NOFOLLOW, dir_fd=folder)
print(os.fstat(f).st_size, os.readlink("", dir_fd=link), os.fstat(link).st_mode == os.lstat("folder/link").st_mode)
for act in (lambda: os.read(f, 1), lambda: os.fchmod(f, 0o600), lambda: os.ftruncate(f, 0)):
    try: act()
    except OSError as e: print(errno.errorcode[e.errno])
print(open(f"/proc/self/fd/{f}").read().strip()); os.rename("folder", "moved")
g = os.open("f", os.O_RDONLY, dir_fd=folder); print(os.read(g, 10)); os.fchdir(folder); print(os.getcwd().rsplit("/", 1)[1])`);
    t.is(
      said,
      "6 f True\nEBADF\nEBADF\nEBADF\ninner\nb'inner\\n'\nmoved\n".replace(
        "EBADF\nEBADF\nEBADF",
        "EBADF\nEBADF\nEBADF",
      ),
    );
  },
);

behaviour(
  "O_NOFOLLOW opens files and no links, O_DIRECTORY folders and no files",
  async ({ t, shell, python }) => {
    await shell("echo x > file; mkdir folder; ln -s file link; ln -s folder way; ln -s nowhere dangling");
    const said = await python(`
import errno
for name, flag in (("file", os.O_NOFOLLOW), ("link", os.O_NOFOLLOW), ("way", os.O_NOFOLLOW), ("dangling", os.O_NOFOLLOW), ("dangling", 0),
                   ("file", os.O_DIRECTORY), ("folder", os.O_DIRECTORY), ("way", os.O_DIRECTORY), ("way", os.O_DIRECTORY|os.O_NOFOLLOW)):
    try: os.close(os.open(name, flag)); print("opened")
    except OSError as e: print(errno.errorcode[e.errno])`);
    t.is(said, "opened\nELOOP\nELOOP\nELOOP\nENOENT\nENOTDIR\nopened\nopened\nENOTDIR\n");
  },
);
