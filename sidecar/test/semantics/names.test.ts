// Names: which a file can have, which an object can have that no file can, and what lies outside of the mount.

import test from "ava";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, python } from "../helpers/mounted.ts";
import { TRIED } from "../helpers/python-words.ts";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();
const eachChannel = onEachChannel(test);

/** Longer than a version so young is trusted. */
const TRUST_ENDED_MS = 1500;

behaviour(
  "a name has up to 255 bytes, in whatever script, and a whole path below the bucket up to 1,024",
  async ({ t, top, python: run, objects }) => {
    const said = await run(`${TRIED}
make = lambda name: tried(lambda: open(name, "w").close())
print(make("x" * 255), make("x" * 256), make("é" * 127), make("é" * 128), tried(os.mkdir, "y" * 255), tried(os.mkdir, "y" * 256))
print(tried(os.rename, "x" * 255, "z" * 256), tried(os.symlink, "x", "z" * 256), tried(os.stat, "z" * 256))
deep = "/".join(["d" * 200] * 4); os.makedirs(deep); room = 1024 - len("${top}/" + deep + "/")
print(make(deep + "/" + "f" * room), make(deep + "/" + "f" * (room + 1)), tried(os.mkdir, deep + "/" + "e" * (room - 1)), tried(os.mkdir, deep + "/" + "e" * room))
print(tried(os.rename, "x" * 255, deep + "/" + "g" * (room + 1)), tried(os.symlink, "x", deep + "/" + "g" * (room + 1)), tried(os.stat, deep + "/" + "g" * (room + 1)))`);
    t.is(
      said,
      "ok ENAMETOOLONG ok ENAMETOOLONG ok ENAMETOOLONG\nENAMETOOLONG ENAMETOOLONG ENAMETOOLONG\n" +
        "ok ENAMETOOLONG ok ENAMETOOLONG\nENAMETOOLONG ENAMETOOLONG ENOENT\n",
    );
    t.is(Math.max(...(await objects()).map((name) => Buffer.byteLength(`${top}/${name}`))), 1024);
  },
);

behaviour(
  "line breaks in names are refused, and names that are not UTF-8 do not exist and cannot be made",
  async ({ t, python: run, objects }) => {
    const said = await run(`${TRIED}
open("f","w").close()
for name in ("a\\nb", "a\\rb", b"\\xff\\xfe", b"caf\\xe9"):
    print(tried(open, name, "w"), tried(os.mkdir, name), tried(os.rename, "f", name), tried(os.symlink, "f", name), tried(os.mkfifo, name), tried(os.stat, name))`);
    const breaks = "EINVAL EINVAL EINVAL EINVAL EINVAL ENOENT\n";
    const notUtf8 = "EILSEQ EILSEQ EILSEQ EILSEQ EILSEQ ENOENT\n";
    t.is(said, breaks + breaks + notUtf8 + notUtf8);
    t.deepEqual(await objects(), ["f"]);
  },
);

behaviour(
  "every other name is the object's as it is, in folders too: case, accents, signs, dots and dashes all count",
  async ({ t, server, top, python: run, objects }) => {
    const names = [
      "Case",
      "case",
      "caf\u00e9",
      "cafe\u0301",
      " space ",
      "100%",
      "a%20b",
      "#1",
      "what?",
      "a+b",
      "back\\slash",
      ".hidden",
      "...",
      "..a",
      "-rf",
      "--",
      "~",
      "*",
      "tab\there",
      "\u0001",
      "\u202e",
      "🐈",
      '"quoted"',
      "a:b;c",
    ];
    for (const name of names) await server.put(`${top}/theirs/${name}`, name);
    await run(`
names = ${JSON.stringify(names)}
os.makedirs("ours")
for n in names:
    open("ours/" + n,"w").write(n); os.rename("ours/" + n, "ours/" + n + ".new"); os.mkdir("ours/" + n)
    assert open("ours/" + n + ".new").read() == n and open("theirs/" + n).read() == n, n
assert sorted(os.listdir("theirs")) == sorted(names) and sorted(os.listdir("ours")) == sorted(names + [n + ".new" for n in names])`);
    const ours = (await objects()).filter((name) => name.startsWith("ours/") && name !== "ours/");
    t.deepEqual(ours.sort(), names.flatMap((name) => [`ours/${name}/`, `ours/${name}.new`]).sort());
  },
);

behaviour(
  "objects that no file name can stand for are hidden, in nobody's way, and left alone; the log names them once",
  async ({ t, server, mount, top, path, shell, objects }) => {
    const hidden = ["a//b", "a/", "/x", "./x", "../x", "n/../../x", "n/./x", `${"z".repeat(256)}/x`];
    for (const name of [...hidden, "a/c", "plain"]) await server.put(`${top}/d/${name}`, name);
    t.is(await shell("find d | LC_ALL=C sort"), "d\nd/a\nd/a/c\nd/n\nd/plain\n");
    t.is(
      await shell("cat d/a/c d/plain; rm d/plain; echo new > d/a/new; mv d/a d/b; ls d/b"),
      "a/cplainc\nnew\n",
    );
    t.deepEqual(await readdir(path("d")), ["b", "n"]);
    await t.throwsAsync(
      shell("rm d/b/*; rmdir d/b"),
      { message: /not empty/ },
      "it has an entry that is not shown",
    );
    t.deepEqual(
      (await objects()).filter((name) => /\/\/|\/\.|zz/.test(name)).length,
      7,
      "as many as there were, the one in the folder moved along",
    );
    await delay(TRUST_ENDED_MS);
    await readdir(path("d"));
    const said = mount.lines.filter(
      ({ folder, message }) => message === "objects cannot be shown as files" && folder === `${top}/d/`,
    );
    t.is(said.length, 1);
    t.like(said[0], { severity: "WARNING", count: 4 });
    t.true((said[0]?.["examples"] as string[] | undefined)?.includes(`${top}/d/../x`));
    await server.put(`${top}/d//later`, "x");
    await delay(TRUST_ENDED_MS);
    await shell("ls d/b d/n d");
    await delay(200);
    t.is(
      mount.lines.filter(({ folder, count }) => folder === `${top}/d/` && count === 5).length,
      1,
      "something new is said once more",
    );
  },
);

behaviour(
  "of an object and a folder of one name the folder shows; the object is kept, and shows when the folder is gone",
  async ({ t, server, mount, top, path, shell, object, objects }) => {
    await server.put(`${top}/both`, "the object");
    await server.put(`${top}/both/inside`, "inside");
    t.is(await shell("ls -F; cat both/inside"), "both/\ninside");
    t.true(mount.lines.some(({ examples }) => (examples as string[] | undefined)?.includes(`${top}/both`)));
    await shell("rm both/inside; ls both");
    t.true((await objects()).includes("both/"), "a folder does not vanish with its last file");
    await shell("rmdir both");
    t.is(await readFile(path("both"), "utf8"), "the object");
    t.is(await object("both"), "the object");
    t.deepEqual(await objects(), ["both"]);
  },
);

behaviour(
  "an object that a folder of its name has hidden shows when somebody else has emptied the folder",
  async ({ t, server, top, path, shell }) => {
    for (const name of ["one", "two"]) {
      await server.put(`${top}/${name}`, "the object");
      await server.put(`${top}/${name}/inside`, "inside");
    }
    t.is(await shell("ls -F; cat one/inside two/inside"), "one/\ntwo/\ninsideinside");
    await server.remove(`${top}/one/inside`);
    await server.remove(`${top}/two/inside`);
    await delay(TRUST_ENDED_MS);
    t.is(await readFile(path("one"), "utf8"), "the object", "looked up");
    t.is(await shell("ls -F"), "one\ntwo\n");
    t.is(await readFile(path("two"), "utf8"), "the object", "listed");
  },
);

behaviour(
  "a folder that exists only by what is in it does not vanish under a program that empties it",
  async ({ t, server, top, shell, objects }) => {
    await server.put(`${top}/jobs/in/1`, "1");
    await server.put(`${top}/jobs/out/0`, "0");
    t.is(
      await shell(
        "cd jobs/in; mv 1 ../out/1; ls; echo 2 > 2; rm 2 ../out/*; ls . ../out; cd ..; mv in other; ls",
      ),
      ".:\n\n../out:\nother\nout\n",
    );
    t.deepEqual(
      (await objects()).filter((name) => name !== "jobs/"),
      ["jobs/other/", "jobs/out/"],
    );
  },
);

/** Python: has `jobs` open as `folder`, whose only object, `one`, somebody else removes, and then waits until that shows. */
const TAKEN_AWAY = (server: BucketServer, top: string) => `${TRIED}
import time, urllib.request
def elsewhere(method, url, data=None):
    urllib.request.urlopen(urllib.request.Request("${server.url}" + url, data=data, method=method))
folder = os.open("jobs", os.O_RDONLY|os.O_DIRECTORY)
print(os.listdir("jobs"))
elsewhere("DELETE", "/storage/v1/b/test/o/${top}%2Fjobs%2Fone")
time.sleep(${TRUST_ENDED_MS / 1000})
`;

behaviour(
  "a folder whose last object somebody else has taken away is gone, and empty for a program that has it open",
  async ({ t, setting, server, top, python }) => {
    await server.put(`${top}/jobs/one`, "1");
    const seen = await python(`${TAKEN_AWAY(server, top)}
print(os.path.exists("jobs"))
try: print(os.listdir(folder))
except OSError as e: print(e.strerror)
open("file", "w").close(); os.mkdir("aside")
print(tried(lambda: os.open("one", os.O_RDONLY, dir_fd=folder)), tried(lambda: os.unlink("one", dir_fd=folder)))
print(tried(lambda: os.open("two", os.O_RDWR|os.O_CREAT, dir_fd=folder)), tried(lambda: os.mkdir("two", dir_fd=folder)))
print(tried(lambda: os.symlink("file", "two", dir_fd=folder)), tried(lambda: os.mkfifo("two", dir_fd=folder)))
print(tried(lambda: os.rename("file", "two", dst_dir_fd=folder)), tried(lambda: os.rename("aside", "two", dst_dir_fd=folder)))
print(sorted(os.listdir(".")))`);
    const listed = setting === "native" ? "No such file or directory" : "[]"; // CHANNELS: libfuse has no path for it
    t.is(
      seen,
      `['one']\nFalse\n${listed}\nENOENT ENOENT\nENOENT ENOENT\nENOENT ENOENT\nENOENT ENOENT\n['aside', 'file']\n`,
    );
  },
);

behaviour(
  "what is made in an open folder that somebody else has taken away makes it again, until that was noticed",
  async ({ t, setting, server, top, python }) => {
    await server.put(`${top}/jobs/one`, "1");
    const seen = await python(`${TAKEN_AWAY(server, top)}
print(tried(lambda: os.write(os.open("two", os.O_WRONLY|os.O_CREAT, dir_fd=folder), b"2")))
print(os.path.exists("jobs") and os.listdir("jobs"))`);
    // libfuse knows folders by their path, which is looked for each time.
    t.is(seen, setting === "native" ? "['one']\nENOENT\nFalse\n" : "['one']\nok\n['two']\n");
    if (setting !== "native") t.is((await server.get(`${top}/jobs/two`))?.toString(), "2");
  },
);

behaviour(
  "a path leads to the folder that somebody else has made anew, also while a program has the one before open",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/jobs/one`, "1");
    const seen = await python(`${TAKEN_AWAY(server, top)}
print(os.path.exists("jobs"))
elsewhere("POST", "/upload/storage/v1/b/test/o?uploadType=media&name=${top}%2Fjobs%2Ftwo", b"2")
print(open("jobs/two").read(), os.listdir("jobs"))`);
    t.is(seen, "['one']\nFalse\n2 ['two']\n");
  },
);

behaviour("the mount is nosuid and nodev", async ({ t, mount }) => {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  const own = table
    .split("\n")
    .filter((line) => line.split(" ")[4] === mount.directory && / - fuse/.test(line));
  t.is(own.length, 1);
  t.regex(own[0] ?? "", / [a-z,]*nosuid,nodev[a-z,]* /);
});

eachChannel("--read-only refuses every kind of change with EROFS", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--read-only"]);
  await server.put("f", "x");
  await server.put("d/e", "x");
  const said = await python(
    mount,
    `${TRIED}
import os
actions = [(open,"f","w"),(open,"f","a"),(open,"f","r+"),(open,"new","w"),(os.truncate,"f",0),(os.unlink,"f"),(os.rename,"f","g"),(os.rename,"d","g"),(os.mkdir,"n"),(os.rmdir,"d"),
    (os.symlink,"f","l"),(os.link,"f","h"),(os.mkfifo,"p"),(os.mknod,"k"),(os.chmod,"f",0o600),(os.chown,"f",1,1),(os.utime,"f"),(os.chmod,"d",0o700)]
print([(action.__name__, tried(action, *rest)) for action, *rest in actions if tried(action, *rest) != "EROFS"], open("f").read(), os.listdir("d"))`,
  );
  t.is(said, "[] x ['e']\n");
  t.deepEqual(await server.names(), ["d/e", "f"]);
});

eachChannel(
  "with --prefix nothing outside of it can be seen or reached, by whatever name or link",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--prefix", "app/data/"]);
    const outside = ["app/data", "app/data2", "app/database/x", "app/secret", "secret", "app/other/secret"];
    const hostile = ["../secret", "../../secret", "d/../../secret", "/etc/passwd", "..", "d//../secret"];
    for (const name of outside) await server.put(name, "secret");
    for (const name of hostile) await server.put(`app/data/${name}`, "hostile");
    await server.put("app/data/inside", "in");
    await server.put("app/data/up", "", { gcsfuse_symlink_target: "../secret" });
    await server.put("app/data/far", "", { gcsfuse_symlink_target: "d/../../../../secret" });
    const said = await python(
      mount,
      `${TRIED}
import os
print(sorted(os.listdir(".")), os.listdir("d"))
print(*(tried(open, n) for n in ("up", "far", "../secret", "d/../../secret", "app/secret", "secret")))
print(os.stat("..").st_dev == os.stat(".").st_dev, os.path.samefile("d/..", "."))
open("d/new","w").write("x"); os.rename("inside", "d/inside"); os.rename("d", "e")`,
    );
    t.is(
      said,
      "['d', 'far', 'inside', 'up'] []\nENOENT ENOENT ENOENT ENOENT ENOENT ENOENT\nFalse True\n",
      "links lead where the kernel takes them, which is not back into the bucket",
    );
    const after = await server.names();
    for (const name of outside) t.is(String(await server.get(name)), "secret", name);
    t.deepEqual(
      after.filter((name) => !outside.includes(name) && !name.startsWith("app/data/")),
      [],
    );
    t.true(after.includes("app/data/e/inside"));
  },
);
