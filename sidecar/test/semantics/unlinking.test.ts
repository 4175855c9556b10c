// Unlinking and removing what is open: who has it goes on, nothing comes back, and nothing is left behind.

import { setTimeout as delay } from "node:timers/promises";
import { TRIED } from "../helpers/python-words.ts";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

/** libfuse 2 carries out the unlink of an open file a tenth of a second after its answer (docs/SEMANTICS.md). */
const CARRIED_OUT_MS = 500;

behaviour(
  "an unlinked file is read and written by those who have it open, and what they write goes nowhere",
  async ({ t, setting, python, objects, changes }) => {
    const seen = await python(`
open("f","w").write("in the bucket")
f = open("f","r+b",0); g = open("f","rb",0); os.unlink("f")
f.seek(0, 2); f.write(b", and more"); os.fsync(f.fileno()); print(g.read(), os.fstat(f.fileno()).st_size)
f.truncate(2); g.seek(0); print(g.read()); os.fchmod(f.fileno(), 0o600); f.close(); g.close()
print(os.listdir("."))`);
    t.is(seen, "b'in the bucket, and more' 23\nb'in'\n[]\n");
    await delay(CARRIED_OUT_MS);
    t.deepEqual(await objects(), []);
    // SEMANTICS: libfuse 2 says what was meant later, and a close may come before it.
    if (setting !== "native") t.deepEqual(await changes(), ["insert f", "delete f"]);
  },
);

behaviour("what is open and has no name any more has no links", async ({ t, setting, python }) => {
  const seen = await python(`${TRIED}
f = open("f","w"); os.mkdir("d"); d = os.open("d", os.O_RDONLY)
print(os.fstat(f.fileno()).st_nlink); os.unlink("f"); print(os.fstat(f.fileno()).st_nlink)
open("a","w").close(); open("b","w").close(); b = open("b"); os.rename("a","b"); print(os.fstat(b.fileno()).st_nlink)
os.rmdir("d"); print(tried(lambda: print(os.fstat(d).st_nlink)))`);
  // SEMANTICS: libfuse has no path for a folder that was removed.
  t.is(seen, setting === "native" ? "1\n0\n0\nENOENT\n" : "1\n0\n0\n0\nok\n");
});

behaviour(
  "readers and writers of an unlinked file go on although somebody else has removed its object before",
  async ({ t, server, top, python, objects }) => {
    await server.put(`${top}/f`, "their bytes");
    const url = `${server.url}/storage/v1/b/test/o/${top}%2Ff`;
    const seen = await python(`
import urllib.request
f = open("f","r+b",0); f.read(5)
urllib.request.urlopen(urllib.request.Request("${url}", method="DELETE")).read()
os.unlink("f"); print(f.read()); f.write(b"!"); f.seek(0); print(f.read()); f.close(); print(os.path.exists("f"))`);
    t.is(seen, "b' bytes'\nb'their bytes!'\nFalse\n");
    await delay(CARRIED_OUT_MS);
    t.deepEqual(await objects(), []);
  },
);

behaviour(
  "a new file of the same name stands beside the open old one, and neither is mistaken for the other",
  async ({ t, python, object, objects }) => {
    const seen = await python(`
open("f","w").write("first")
old = open("f","r+"); os.unlink("f"); new = open("f","w+"); new.write("second"); new.flush(); os.fsync(new.fileno())
old.seek(0, 2); old.write(" goes on"); old.flush(); old.seek(0); new.seek(0)
print(old.read(), "|", new.read(), "|", open("f").read(), os.fstat(old.fileno()).st_ino != os.fstat(new.fileno()).st_ino)
old.close(); print(open("f").read()); new.close()`);
    t.is(seen, "first goes on | second | second True\nsecond\n");
    await delay(CARRIED_OUT_MS);
    t.is(await object("f"), "second");
    t.deepEqual(await objects(), ["f"]);
  },
);

behaviour(
  "a file that was unlinked before its first close was never in the bucket",
  async ({ t, setting, python, objects, changes }) => {
    await python(`
f = open("f","w"); f.write("x"); os.unlink("f"); f.write("y"); f.close()
f = open("g","w"); f.write("x"); os.unlink("g"); f.flush(); os.fsync(f.fileno()); f.close()`);
    await delay(CARRIED_OUT_MS);
    t.deepEqual(await objects(), []);
    // SEMANTICS: libfuse 2 says what was meant later, and a close may come before it.
    if (setting !== "native") t.deepEqual(await changes(), []);
  },
);

behaviour(
  "a folder that a program is in, or has open, can be removed; the program stays where it is and can make nothing there",
  async ({ t, setting, python, objects }) => {
    const said = await python(`${TRIED}
above = os.getcwd(); os.mkdir("d"); inside = os.open("d", os.O_RDONLY); os.chdir("d"); os.rmdir("../d")
print(tried(os.listdir, "."), tried(os.listdir, inside), tried(os.stat, "."))
print(tried(open, "f", "w"), tried(os.mkdir, "e"), tried(os.symlink, "x", "l"), tried(os.stat, "f"))
print(tried(os.chdir, "..")); os.chdir(above); print(os.listdir("."))`);
    // SEMANTICS: libfuse has no path for a folder that was removed, so asking about it fails as well.
    const asking = setting === "native" ? "ENOENT" : "ok";
    t.is(said, `${asking} ${asking} ${asking}\nENOENT ENOENT ENOENT ENOENT\n${asking}\n[]\n`);
    t.deepEqual(await objects(), []);
  },
);

behaviour(
  "a folder is empty once its open files are unlinked, and a new one of its name is another",
  async ({ t, setting, python, objects }) => {
    const seen = await python(`${TRIED}
os.mkdir("d"); f = open("d/f","w+b",0); f.write(b"x"); os.unlink("d/f"); os.rmdir("d"); os.mkdir("d")
def go_on(): f.write(b"y"); f.seek(0); print(f.read())
print(os.listdir("d"), tried(go_on)); tried(f.close); print(os.listdir("d"))`);
    // SEMANTICS: libfuse has no path for a file whose folder was removed.
    t.is(seen, setting === "native" ? "[] ENOENT\n[]\n" : "b'xy'\n[] ok\n[]\n");
    await delay(CARRIED_OUT_MS);
    t.deepEqual(await objects(), ["d/"]);
  },
);

behaviour("what is not there, or not what the call is for, is refused", async ({ t, python }) => {
  const said = await python(`${TRIED}
os.mkdir("d"); open("d/f","w").close(); os.symlink("d","l"); open("f","w").close()
print(tried(os.unlink,"missing"), tried(os.rmdir,"missing"), tried(os.unlink,"d"), tried(os.rmdir,"f"), tried(os.rmdir,"d"))
print(tried(os.rmdir,"l"), tried(os.rmdir,"d/."), tried(os.rmdir,"d/.."), tried(os.unlink,"f/x"), tried(os.unlink,"l"), os.listdir("d"))`);
  t.is(said, "ENOENT ENOENT EISDIR ENOTDIR ENOTEMPTY\nENOTDIR EINVAL ENOTEMPTY ENOTDIR ok ['f']\n");
});

behaviour(
  "of many who unlink one name, or remove one folder, one succeeds",
  async ({ t, python, objects }) => {
    const said = await python(`${TRIED}
import concurrent.futures
open("f","w").close(); os.mkdir("d")
with concurrent.futures.ThreadPoolExecutor(20) as pool:
    for remove, name in ((os.unlink,"f"),(os.rmdir,"d")):
        said = list(pool.map(lambda i: tried(remove,name), range(20))); print(said.count("ok"), said.count("ENOENT"))`);
    t.is(said, "1 19\n1 19\n");
    t.deepEqual(await objects(), []);
  },
);
