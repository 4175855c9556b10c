// Renaming: what takes whose place, what is refused, and what programs that have files open notice of it.

import test from "ava";
import { rename } from "node:fs/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { mounted, python, SETTINGS } from "../helpers/mounted.ts";
import { CLAIM, TRIED } from "../helpers/python-words.ts";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();

behaviour(
  "a file takes the place of another, in the bucket too, by one request",
  async ({ t, python, path, object, objects, changes }) => {
    await python(`open("a","w").write("A"); open("b","w").write("the longer B")`);
    await rename(path("a"), path("b"));
    t.deepEqual(await changes(), ["insert a", "insert b", "move a"]);
    t.is(await object("b"), "A");
    t.deepEqual(await objects(), ["b"]);
    t.is(await python(`print(open("b").read(), os.path.exists("a"))`), "A False\n");
  },
);

behaviour(
  "a file renamed onto itself stays as it is, and nothing is sent",
  async ({ t, python, path, objects, changes }) => {
    await python(`open("a","w").write("A")`);
    await rename(path("a"), path("a"));
    t.deepEqual(await changes(), ["insert a"]);
    t.is(await python(`print(open("a").read())`), "A\n");
    t.deepEqual(await objects(), ["a"]);
  },
);

behaviour(
  "who reads the file that is replaced goes on with the old bytes, small or large",
  async ({ t, server, top, python }) => {
    const large = 5 << 20;
    await server.put(`${top}/large`, Buffer.alloc(large, "o"));
    const seen = await python(`
open("small","w").write("old bytes"); open("new","w").write("new"); open("new2","w").write("new2")
small = open("small","rb",0); large = open("large","rb",0); small.read(3)
os.rename("new","small"); os.rename("new2","large")
print(small.read(), os.fstat(small.fileno()).st_size, set(large.read()), os.fstat(large.fileno()).st_size)
print(open("small").read(), open("large").read())`);
    t.is(seen, `b' bytes' 9 {111} ${large}\nnew new2\n`);
  },
);

behaviour(
  "who writes to the file that is replaced does not bring it back",
  async ({ t, python, object, objects }) => {
    const seen = await python(`
w = open("f","w"); w.write("old"); w.flush(); os.fsync(w.fileno())
open("new","w").write("new"); os.rename("new","f")
w.write(" and more"); w.close(); print(open("f").read())`);
    t.is(seen, "new\n");
    t.is(await object("f"), "new");
    t.deepEqual(await objects(), ["f"]);
  },
);

behaviour(
  "a file that is open and being written goes on: the next flush goes to the new name, the old one stays absent",
  async ({ t, python, object, objects }) => {
    const seen = await python(`
f = open("before","w"); f.write("one"); f.flush(); os.fsync(f.fileno())
os.rename("before","after"); f.write(" two"); f.flush(); os.fsync(f.fileno())
print(os.listdir("."), open("after").read()); f.write(" three"); f.close()
print(os.path.exists("before"))`);
    t.is(seen, "['after'] one two\nFalse\n");
    t.is(await object("after"), "one two three");
    t.deepEqual(await objects(), ["after"]);
  },
);

behaviour(
  "a file may be renamed again and again while it is written, and was never in the bucket before its close",
  async ({ t, python, object, objects, changes }) => {
    await python(`
f = open("0","w"); f.write("x")
for i in range(5): os.rename(str(i), str(i + 1))
f.close()`);
    t.deepEqual(await changes(), ["insert 5"]);
    t.is(await object("5"), "x");
    t.deepEqual(await objects(), ["5"]);
  },
);

behaviour("the name a file left can be taken at once", async ({ t, python, object, objects }) => {
  await python(`
f = open("log","w"); f.write("old"); f.flush(); os.fsync(f.fileno())
os.rename("log","log.1"); g = open("log","w"); g.write("new"); f.write(" lines"); g.close(); f.close()`);
  t.is(await object("log"), "new");
  t.is(await object("log.1"), "old lines");
  t.deepEqual(await objects(), ["log", "log.1"]);
});

behaviour("a folder takes the place of an empty one, and of nothing else", async ({ t, python, objects }) => {
  const said = await python(`${TRIED}
os.makedirs("from/below"); open("from/below/f","w").close(); os.mkdir("empty"); os.mkdir("full"); open("full/g","w").close(); open("file","w").close()
print(tried(os.rename,"from","full"), tried(os.rename,"from","file"), tried(os.rename,"file","from"), tried(os.rename,"file","empty"))
print(tried(os.rename,"from","from/below/inside"), tried(os.rename,"from","from/inside"), tried(os.rename,"from","from"))
print(tried(os.rename,"missing","new"), tried(os.rename,"file","missing/new"), tried(os.rename,"file","file/new"))
print(tried(os.rename,"from","empty"), sorted(os.listdir(".")))`);
  t.is(
    said,
    "ENOTEMPTY ENOTDIR EISDIR EISDIR\nEINVAL EINVAL ok\nENOENT ENOENT ENOTDIR\nok ['empty', 'file', 'full']\n",
  );
  t.deepEqual(await objects(), ["empty/", "empty/below/", "empty/below/f", "file", "full/", "full/g"]);
});

behaviour("a folder does not take a place somebody else filled meanwhile", async (place) => {
  const { t, server, top, python, shell, objects } = place;
  await python(`os.makedirs("from"); open("from/f","w").close(); os.mkdir("empty")`);
  await shell("ls empty");
  await server.put(`${top}/empty/theirs`, "theirs");
  t.is(await python(`${TRIED}print(tried(os.rename,"from","empty"))`), "ENOTEMPTY\n");
  t.deepEqual(await objects(), ["empty/", "empty/theirs", "from/", "from/f"]);
});

behaviour(
  "open files of a folder that is renamed are read and written on, also new ones made in it by those inside",
  async ({ t, server, top, python, object, objects }) => {
    await server.put(`${top}/old/large`, Buffer.alloc(5 << 20, "x"));
    const seen = await python(`
w = open("old/written","w"); w.write("one"); w.flush(); os.fsync(w.fileno())
n = open("old/new","w"); n.write("never closed under its first name")
r = open("old/large","rb",0); r.read(1); inside = os.open("old", os.O_RDONLY)
os.rename("old","moved")
w.write(" two"); w.close(); n.close(); print(len(r.read()))
f = os.open("made", os.O_CREAT|os.O_WRONLY, dir_fd=inside); os.write(f, b"through the folder"); os.close(f)
print(sorted(os.listdir(inside)), os.path.exists("old"))`);
    t.is(seen, `${(5 << 20) - 1}\n['large', 'made', 'new', 'written'] False\n`);
    t.is(await object("moved/written"), "one two");
    t.is(await object("moved/made"), "through the folder");
    t.deepEqual(
      (await objects()).filter((name) => name !== "moved/"),
      ["moved/large", "moved/made", "moved/new", "moved/written"],
    );
  },
);

behaviour(
  "a symbolic link is renamed itself, whatever it leads to, and replaced like a file",
  async ({ t, python, objects }) => {
    const said = await python(`${TRIED}
os.mkdir("folder"); open("file","w").write("file"); os.symlink("folder","to-folder"); os.symlink("file","to-file"); os.symlink("nowhere","dangling")
os.rename("to-folder","l1"); os.rename("dangling","l2"); print(os.readlink("l1"), os.readlink("l2"), os.path.isdir("folder"))
os.rename("file","to-file"); print(os.path.islink("to-file"), open("to-file").read())
print(tried(os.rename,"l1","folder"), tried(os.rename,"folder","l1"))
os.rename("l1","l2"); print(os.readlink("l2"))`);
    t.is(said, "folder nowhere True\nFalse file\nEISDIR ENOTDIR\nfolder\n");
    t.deepEqual(await objects(), ["folder/", "l2", "to-file"]);
  },
);

behaviour(
  "of those who rename to one name that must be free, one wins",
  async ({ t, setting, python, objects, object }) => {
    const said = await python(`${TRIED}${CLAIM}
import concurrent.futures
for i in range(20): open("work%d" % i,"w").write(str(i))
with concurrent.futures.ThreadPoolExecutor(20) as pool: said = list(pool.map(lambda i: tried(claim,"work%d" % i,"mine"), range(20)))
print(said.index("ok") if "ok" in said else "", said.count("ok"), said.count("EEXIST"), said.count("EINVAL"))`);
    // SEMANTICS: libfuse 2 knows no flags of rename, and refuses them where the name is free.
    const [winner, ...counts] = said.replace("\n", "").split(" ");
    t.deepEqual(counts, setting === "native" ? ["0", "0", "20"] : ["1", "19", "0"]);
    if (setting !== "native") t.is(await object("mine"), winner);
    t.is((await objects()).length, 20, "the others keep what they had");
  },
);

for (const { name, options } of SETTINGS.filter((setting) => setting.name !== "native")) {
  test(`${name}: of twenty on two mounts who rename to one name that must be free, one wins, and the others keep theirs`, async (t) => {
    const server = await BucketServer.start(t);
    const mounts = await Promise.all([mounted(t, server, options), mounted(t, server, options)]);
    const counts = { ok: 0, EEXIST: 0 };
    await Promise.all(
      mounts.map(async (mount, machine) => {
        const said = await python(
          mount,
          `${TRIED}${CLAIM}
import concurrent.futures, os
for i in range(10): open("work-${machine}-%d" % i,"w").write("${machine}-%d" % i)
with concurrent.futures.ThreadPoolExecutor(10) as pool: print(" ".join(pool.map(lambda i: tried(claim,"work-${machine}-%d" % i,"mine"), range(10))))`,
        );
        for (const word of said.trim().split(" ")) counts[word as keyof typeof counts] += 1;
      }),
    );
    t.deepEqual(counts, { ok: 1, EEXIST: 19 });
    const winner = String(await server.get("mine"));
    const names = await server.names();
    t.is(names.length, 20);
    t.false(names.includes(`work-${winner}`));
  });
}
