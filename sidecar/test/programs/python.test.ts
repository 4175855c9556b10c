// Python's standard library: shutil, os.replace, tempfile, zipfile, gzip, pathlib, and others that touch files.

import { behaviours } from "../helpers/settings.ts";
import { asKept, comesToBe, fillWithSamples, localFolder, quoted, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

behaviour("shutil.copy keeps the mode, copy2 the time as well", async (place) => {
  const { t, path: mountPath, shell, python } = place;
  const local = await localFolder(t);
  await shell(
    `printf data > ${quoted(local)}/f; chmod 751 ${quoted(local)}/f; touch -d '2001-01-01 01:01:01.010203004 UTC' ${quoted(local)}/f`,
  );
  await python(`
import shutil
shutil.copy("${local}/f", "copied"); shutil.copy2("${local}/f", "copied2"); shutil.copy2("copied2", "copied3"); shutil.copyfile("copied3", "plain")`);
  const { f } = asKept(await treeIn(local, "mode and time"), place);
  const seen = await treeIn(mountPath(), "mode and time");
  t.is(seen["copied2"], f);
  t.is(seen["copied3"], f);
  t.is(seen["copied"]?.split(", ")[2]?.split(" ")[0], "751");
  t.deepEqual(Object.keys(seen), ["copied", "copied2", "copied3", "plain"]);
  await comesToBe(t, () => treeInBucket(place, "", "mode and time"), seen);
});

behaviour("shutil.copytree, move and rmtree", async (place) => {
  const { t, path: mountPath, shell, python, objects } = place;
  const local = await localFolder(t);
  await shell(`mkdir ${quoted(local)}/tree`);
  await fillWithSamples(`${local}/tree`, place);
  const expected = await treeIn(`${local}/tree`, "mode and time");
  await python(`
import shutil
shutil.copytree("${local}/tree", "in", symlinks=True); shutil.move("in", "moved"); shutil.copytree("moved", "copy", symlinks=True)
shutil.move("moved", "${local}/out"); os.mkdir("gone"); open("gone/x", "w").close(); shutil.rmtree("gone")`);
  t.deepEqual(await treeIn(mountPath("copy"), "mode and time"), expected);
  t.deepEqual(await treeIn(`${local}/out`, "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "copy", "mode and time"), expected);
  t.true((await objects()).every((name) => name.startsWith("copy/")));
});

behaviour("a file saved by tempfile and os.replace is there under its name only", async (place) => {
  const { t, server, top, python, object, objects } = place;
  await server.put(`${top}/settings.json`, '{"version": 0}');
  await python(`
import json, tempfile
for version in range(1, 6):
    with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as f:
        json.dump({"version": version}, f); f.flush(); os.fsync(f.fileno())
    os.replace(f.name, "settings.json")
    assert json.load(open("settings.json")) == {"version": version}`);
  t.is(await object("settings.json"), '{"version": 5}');
  t.deepEqual(await objects(), ["settings.json"]);
});

behaviour(
  "temporary files and folders of tempfile work and leave nothing",
  async ({ t, python, objects }) => {
    const said = await python(`
import tempfile
with tempfile.NamedTemporaryFile(dir=".") as f:
    f.write(b"x" * 3000000); f.flush(); assert os.path.getsize(f.name) == 3000000
with tempfile.TemporaryFile(dir=".") as f:
    f.write(b"hello"); f.seek(0); assert f.read() == b"hello"
with tempfile.SpooledTemporaryFile(max_size=10, dir=".") as f:
    f.write(b"0123456789abcdef"); f.seek(10); assert f.read() == b"abcdef"
with tempfile.TemporaryDirectory(dir=".") as d:
    open(os.path.join(d, "inner"), "w").write("x"); os.mkdir(os.path.join(d, "sub"))
fd, name = tempfile.mkstemp(dir="."); os.write(fd, b"x"); os.close(fd); os.unlink(name)
print(os.listdir("."))`);
    t.is(said, "[]\n");
    await comesToBe(t, objects, []);
  },
);

behaviour("zipfile writes, extends, reads and unpacks an archive", async (place) => {
  const { t, server, top, path: mountPath, python, objects } = place;
  const said = await python(`
import io, urllib.request, zipfile
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for i in range(20): z.writestr(f"dir/{i}.txt", str(i) * 10000)
with zipfile.ZipFile("a.zip", "a") as z: z.writestr("late.txt", "late")
with zipfile.ZipFile("a.zip") as z:
    assert z.testzip() is None; z.extractall("out")
answer = urllib.request.urlopen("${server.url}/storage/v1/b/test/o/${top}%2Fa.zip?alt=media").read()
with zipfile.ZipFile(io.BytesIO(answer)) as z: print(z.testzip(), len(z.namelist()), z.read("late.txt"))`);
  t.is(said, "None 21 b'late'\n");
  t.is((await objects()).length, 1 + 21 + 2);
  t.deepEqual(await treeInBucket(place, "out"), await treeIn(mountPath("out")));
});

behaviour("gzip, csv, pickle, pathlib, fileinput and logging write what they read back", async (place) => {
  const { t, python, object, objects } = place;
  await python(`
import csv, fileinput, gzip, logging, pathlib, pickle
with gzip.open("f.gz", "wt") as f: f.write("zipped" * 100000)
assert gzip.open("f.gz", "rt").read() == "zipped" * 100000
with open("f.csv", "a", newline="") as f: csv.writer(f).writerows([[i, i * i] for i in range(1000)])
with open("f.csv", "a", newline="") as f: csv.writer(f).writerow(["end", "end"])
assert len(list(csv.reader(open("f.csv", newline="")))) == 1001
pickle.dump(list(range(100000)), open("f.pickle", "wb")); assert pickle.load(open("f.pickle", "rb"))[-1] == 99999
p = pathlib.Path("deep/er/f.txt"); p.parent.mkdir(parents=True); p.write_text("path"); p.rename("deep/g.txt"); p.parent.rmdir()
for line in fileinput.input("deep/g.txt", inplace=True): print(line.upper(), end="")
logging.basicConfig(filename="app.log", format="%(message)s")
for i in range(50): logging.warning("line %d", i)`);
  t.is(await object("deep/g.txt"), "PATH");
  t.is(await object("app.log"), Array.from({ length: 50 }, (_, i) => `line ${i}\n`).join(""));
  t.is((await object("f.csv"))?.split("\r\n").length, 1002);
  t.deepEqual(await objects(), ["app.log", "deep/", "deep/g.txt", "f.csv", "f.gz", "f.pickle"]);
});
