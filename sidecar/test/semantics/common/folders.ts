// Folders and names as they are on either kind of bucket: made, listed, moved, removed; those of other tools too.

import { setTimeout as delay } from "node:timers/promises";
import { readdir } from "node:fs/promises";
import type { Behaviour } from "../../helpers/settings.ts";

export function folderBehaviours(behaviour: Behaviour): void {
  behaviour("a folder with entries cannot be removed", async ({ t, python }) => {
    const said = await python(`
import errno
os.mkdir("d"); open("d/f","w").close()
for action in (lambda: os.rmdir("d"), lambda: os.mkdir("d"), lambda: os.unlink("d"), lambda: os.rmdir("d/f")):
    try: action()
    except OSError as e: print(errno.errorcode[e.errno])
os.unlink("d/f"); os.rmdir("d"); print(os.listdir("."))`);
    t.is(said, "ENOTEMPTY\nEEXIST\nEISDIR\nENOTDIR\n[]\n");
  });

  behaviour(
    "renaming a folder moves everything below it, and open files in it go on",
    async ({ t, python, objects, object }) => {
      const seen = await python(`
os.makedirs("a/b"); open("a/one","w").write("1"); open("a/b/two","w").write("2")
f = open("a/open","w"); f.write("before")
os.rename("a","z"); f.write(" after"); f.close()
print(sorted(os.listdir("z")), open("z/b/two").read(), os.path.exists("a"))`);
      t.is(seen, "['b', 'one', 'open'] 2 False\n");
      const files = (await objects()).filter((name) => !name.endsWith("/"));
      t.deepEqual(files, ["z/b/two", "z/one", "z/open"]);
      t.is(await object("z/open"), "before after");
    },
  );

  behaviour(
    "a folder of a hundred files that this mount has never seen can be renamed",
    async ({ t, server, top, shell, objects }) => {
      await Promise.all(Array.from({ length: 100 }, (_, i) => server.put(`${top}/old/${i}`, `${i}`)));
      await shell("mv old new");
      t.is((await objects()).length, 100);
      t.is(await shell("ls new | wc -l; cat new/42; ls"), "100\n42new\n");
    },
  );

  behaviour("a folder replaces an empty folder, and neither a full one nor a file", async ({ t, python }) => {
    const said = await python(`
import errno
os.mkdir("a"); open("a/f","w").close(); os.mkdir("empty"); os.mkdir("full"); open("full/g","w").close(); open("file","w").close()
for target in ("full","file","a/inside"):
    try: os.rename("a", target)
    except OSError as e: print(errno.errorcode[e.errno])
os.rename("a","empty"); print(os.listdir("empty"))`);
    t.is(said, "ENOTEMPTY\nENOTDIR\nEINVAL\n['f']\n");
  });

  behaviour("a listing is right while names come and go", async ({ t, python }) => {
    const seen = await python(`
names = {"f%d" % i for i in range(300)}
for n in names: open(n,"w").write(n)
seen = set()
for i, e in enumerate(os.scandir(".")):
    seen.add(e.name)
    if i % 5 == 0: open("new%d" % i, "w").write("new")
    if i == 100: os.unlink("f299") if "f299" not in seen else None
print(len(names - seen - {"f299"}))`);
    t.is(seen.trim(), "0");
  });

  behaviour(
    "symbolic links lead where they say, in the form other tools know",
    async ({ t, server, top, shell }) => {
      await shell("echo x > a; ln -s a link; ln -s /etc/hostname out");
      t.is(await shell("readlink link; cat link; readlink out"), "a\nx\n/etc/hostname\n");
      t.is((await server.stat(`${top}/link`))?.metadata?.["gcsfuse_symlink_target"], "a");
    },
  );

  behaviour(
    "names with spaces, quotes, signs and any script are object names as they are",
    async ({ t, python, objects }) => {
      const names = [
        "with space",
        "quote'\"",
        "#?%+&=",
        "ünï©ode 漢字 🐈",
        "-dash",
        "a%2Fb",
        "back\\slash",
        "*",
      ];
      await python(`
for n in ${JSON.stringify(names)}:
    open(n,"w").write(n)
    assert open(n).read() == n and n in os.listdir("."), n`);
      t.deepEqual((await objects()).sort(), [...names].sort());
    },
  );

  behaviour("names too long are refused, and hard links as well", async ({ t, python }) => {
    const said = await python(`
import errno
open("f","w").close()
for action in (lambda: open("x" * 256, "w"), lambda: os.link("f","g"), lambda: open("new\\nline", "w"), lambda: os.stat("y" * 300)):
    try: action()
    except OSError as e: print(errno.errorcode[e.errno])
open("x" * 255, "w").close()`);
    t.is(said, "ENAMETOOLONG\nEPERM\nEINVAL\nENAMETOOLONG\n");
  });

  behaviour(
    "X12: names that cannot be paths are not shown and not in the way",
    async ({ t, server, top, path }) => {
      const shown = [
        "plain",
        "dir/inside",
        "both/inside",
        "nfc-\u00e9",
        "nfd-e\u0301",
        `${"l".repeat(250)}/${"m".repeat(250)}`,
      ];
      const hidden = ["a//b", "dots/../x", "dots/./y", `${"z".repeat(256)}`, "both"];
      for (const name of [...shown, ...hidden]) await server.put(`${top}/${name}`, name);
      const names = (await readdir(path(), { recursive: true })).sort();
      t.deepEqual(
        names,
        [
          "a",
          "both",
          "both/inside",
          "dir",
          "dir/inside",
          "dots",
          "l".repeat(250),
          `${"l".repeat(250)}/${"m".repeat(250)}`,
          "nfc-\u00e9",
          "nfd-e\u0301",
          "plain",
        ].sort(),
      );
    },
  );

  behaviour(
    "mode, owner and times are kept, and patched into the bucket about a second after a change",
    async ({ t, server, top, shell }) => {
      await shell(
        "echo x > f; chown 33:44 f; chmod 4750 f; touch -d '2001-02-03 04:05:06.789 UTC' f; mkdir d; chmod 1777 d",
      );
      t.is(
        await shell("stat -c '%a %u %g' f d; stat -c %y f | cut -c1-23; date -u -r f +%s"),
        "4750 33 44\n1777 0 0\n2001-02-03 04:05:06.789\n981173106\n",
      );
      await delay(1500);
      t.like((await server.stat(`${top}/f`))?.metadata, {
        "goog-reserved-posix-mode": "4750",
        "goog-reserved-posix-uid": "33",
        "goog-reserved-posix-gid": "44",
        mtime: "2001-02-03T04:05:06.789000000Z",
      });
    },
  );

  behaviour("X13: the content type follows the name", async ({ t, server, top, shell }) => {
    await shell("for n in cat.jpg page.HTML notes.txt archive.tar.gz unknown; do echo x > $n; done");
    const type = async (name: string): Promise<string | undefined> =>
      (await server.stat(`${top}/${name}`))?.contentType;
    t.is(await type("cat.jpg"), "image/jpeg");
    t.is(await type("page.HTML"), "text/html");
    t.is(await type("notes.txt"), "text/plain");
    t.is(await type("archive.tar.gz"), "application/gzip");
    t.is(await type("unknown"), "application/octet-stream");
  });

  behaviour("FIFOs and sockets are made and used", async ({ t, shell, python }) => {
    t.is(await shell("mkfifo p; (echo through > p &) ; cat p; stat -c %F p"), "through\nfifo\n");
    const socket = await python(`
import socket, stat
s = socket.socket(socket.AF_UNIX); s.bind("s"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect("s"); print(stat.S_ISSOCK(os.stat("s").st_mode))`);
    t.is(socket.trim(), "True");
  });

  behaviour("statfs lets installers proceed", async ({ t, shell }) => {
    t.regex(await shell("df -h . | tail -1"), /sidemount:test\s+1\.0P\s+0\s+1\.0P\s+0%/);
  });

  behaviour(
    "a folder's times move with its entries and do not fall back when it is listed again",
    async ({ t, shell }) => {
      await shell("mkdir d");
      await delay(1100);
      await shell("echo x > d/f");
      const times = await shell("stat -c '%Y %Z' d");
      await delay(1300); // what was known of a folder so young is asked for again
      t.is(await shell("ls d >/dev/null; stat -c '%Y %Z' d"), times);
    },
  );

  behaviour(
    "a folder with the setgid bit gives its group to what is made in it, and folders below get the bit too",
    async ({ t, python }) => {
      const shown = await python(`os.mkdir("shared"); os.chown("shared", -1, 33); os.chmod("shared", 0o2775)
open("shared/file", "w").close(); os.mkdir("shared/folder"); os.symlink("x", "shared/link")
for name in ("file", "folder", "link"):
    status = os.lstat("shared/" + name); print(name, status.st_gid, oct(status.st_mode & 0o2000))`);
      t.is(shown, "file 33 0o0\nfolder 33 0o2000\nlink 33 0o0\n");
    },
  );
}
