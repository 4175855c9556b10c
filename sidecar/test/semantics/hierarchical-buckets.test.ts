// Folders and names on a hierarchical bucket: as everywhere, and how its folders are used (RULES 34).

import test from "ava";
import { mkdir, rmdir, stat } from "node:fs/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, shell } from "../helpers/mounted.ts";
import { behaviours } from "../helpers/settings.ts";
import { folderBehaviours } from "./common/folders.ts";

const HIERARCHICAL = { hierarchical: true };
/** What the folders of these tests have, so that no object has to say it. */
const DEFAULTS = ["--dir-mode", "755"];
const behaviour = behaviours(DEFAULTS, HIERARCHICAL);
const eachChannel = onEachChannel(test, HIERARCHICAL);

folderBehaviours(behaviour);

behaviour(
  "RULES 34: folders are folders of the bucket, which stay when they are empty",
  async ({ t, server, top, shell, objects }) => {
    await shell("mkdir -p a/b c; echo x > a/b/f; mv a z; rm z/b/f; rmdir c");
    t.deepEqual(await server.folders(`${top}/`), [`${top}/`, `${top}/z/`, `${top}/z/b/`]);
    t.deepEqual(await objects(), []);
    t.is(await shell("ls; ls z"), "z\nb\n");
  },
);

behaviour(
  "RULES 34: folders of other tools show up, whether something is in them or not",
  async ({ t, server, top, shell, objects }) => {
    await server.makeFolder(`${top}/empty/inner/`);
    await server.put(`${top}/albums/2019/cat.jpg`, "cat");
    t.is(await shell("ls; ls empty; cat albums/2019/cat.jpg"), "albums\nempty\ninner\ncat");
    await shell("rm albums/2019/cat.jpg; rmdir empty/inner");
    t.is(await shell("ls -d albums/2019; ls empty"), "albums/2019\n");
    t.deepEqual(await objects(), []);
  },
);

behaviour(
  "what is put into a folder that was empty, or had only folders, is listed at once, since nothing told how old that was",
  async ({ t, server, top, shell }) => {
    await server.makeFolder(`${top}/empty/`);
    await server.makeFolder(`${top}/outer/inner/`);
    t.is(await shell("ls . empty outer"), ".:\nempty\nouter\n\nempty:\n\nouter:\ninner\n");
    await server.put(`${top}/empty/new`, "1");
    await server.put(`${top}/outer/new`, "1");
    t.is(await shell("sleep 0.5; ls empty outer"), "empty:\nnew\n\nouter:\ninner\nnew\n");
  },
);

behaviour(
  "a folder and a file of one name are the folder, and the file shows when the folder is gone",
  async ({ t, server, top, shell }) => {
    await server.put(`${top}/both`, "a file");
    await server.makeFolder(`${top}/both/`);
    t.is(await shell("stat -c %F both; ls"), "directory\nboth\n");
    t.is(await shell("rmdir both; cat both"), "a file");
  },
);

behaviour(
  "a folder is found behind hundreds of names that begin with its own, and a name that is only like them is not",
  async ({ t, server, top, shell }) => {
    const names = Array.from({ length: 260 }, (_, i) => `name-${i}`);
    await Promise.all(names.map((name) => server.put(`${top}/${name}`, "x")));
    await server.put(`${top}/name/inside`, "in it");
    t.is(await shell("cat name/inside; test ! -e nam; ls | wc -l"), "in it261\n");
  },
);

behaviour(
  "the service says whether a folder is empty, whatever the mount knows of it",
  async ({ t, server, top, path, shell }) => {
    await shell("mkdir d; ls d");
    await server.put(`${top}/d/foreign`, "x");
    await t.throwsAsync(rmdir(path("d")), { code: "ENOTEMPTY" });
    await server.remove(`${top}/d/foreign`);
    await server.makeFolder(`${top}/d/inner/`);
    await t.throwsAsync(rmdir(path("d")), { code: "ENOTEMPTY" });
    await server.removeFolder(`${top}/d/inner/`);
    await rmdir(path("d"));
    t.is(await server.folder(`${top}/d/`), undefined);
  },
);

behaviour(
  "a folder with an object of its own name, as some tools make them, is removed with it",
  async ({ t, server, top, shell, objects }) => {
    await server.put(`${top}/d/`, "");
    t.is(await shell("ls -A d"), "");
    await shell("rmdir d");
    t.deepEqual(await objects(), []);
    t.is(await server.folder(`${top}/d/`), undefined);
  },
);

behaviour(
  "names of folders that are too long or too deep for the bucket are refused as too long",
  async ({ t, path, shell, python }) => {
    const said = await python(`
import errno
for path in ("/".join(["x" * 250] * 3), "/".join(["d"] * 51)):
    try: os.makedirs(path)
    except OSError as e: print(errno.errorcode[e.errno])
print(len(os.listdir("d")))`);
    t.is(said, "ENAMETOOLONG\nENAMETOOLONG\n1\n");
    await shell(`mkdir -p ${"x".repeat(240)}/${"y".repeat(200)} short/${"z".repeat(100)}`);
    await t.throwsAsync(mkdir(path("x".repeat(240), "y".repeat(200), "z".repeat(100))), {
      code: "ENAMETOOLONG",
    });
  },
);

eachChannel(
  "a folder's owner and mode are kept where they differ from what the mount gives, by an object in it",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, DEFAULTS);
    await shell(mount, "mkdir plain; mkdir -m 700 private; mkdir later; chown 33:44 later; sleep 1.5");
    t.deepEqual(await server.names(), ["later/", "private/"]);
    await mount.restart();
    t.is(await shell(mount, "stat -c '%n %a %u %g' *"), "later 755 33 44\nplain 755 0 0\nprivate 700 0 0\n");
    await shell(mount, "mv private secret; mv later sooner");
    await mount.restart();
    t.is(await shell(mount, "stat -c '%n %a %u' secret sooner"), "secret 700 0\nsooner 755 33\n");
    await shell(mount, "rmdir *");
    t.deepEqual(await server.names(), []);
    t.deepEqual(await server.folders(), []);
  },
);

eachChannel("of two mounts that make one folder at the same time one is refused", async (t, channel) => {
  const server = await BucketServer.start(t, HIERARCHICAL);
  const mounts = [await channel.mounted(t, server), await channel.mounted(t, server)];
  for (let i = 0; i < 20; i += 1) {
    const made = await Promise.allSettled(mounts.map((mount) => mkdir(mount.path(`lock-${i}`))));
    const refused = made.filter(({ status }) => status === "rejected");
    t.is(refused.length, 1);
    t.is(((refused[0] as PromiseRejectedResult).reason as NodeJS.ErrnoException).code, "EEXIST");
  }
});

eachChannel(
  "RULES 5: a folder whose making was not answered may be anybody's, but for the sole writer",
  async (t, channel) => {
    const server = await BucketServer.start(t, HIERARCHICAL);
    const one = await channel.mounted(t, server);
    const sole = await channel.mounted(t, server, ["--sole-writer"]);
    await server.faults({ method: "storage.folders.insert", action: "lost-answer", count: 2 });
    await t.throwsAsync(mkdir(one.path("a")), { code: "EIO" });
    await mkdir(sole.path("b"));
    t.true((await stat(sole.path("b"))).isDirectory());
    await server.faults({ method: "storage.folders.delete", action: "lost-answer", count: 1 });
    await rmdir(sole.path("b"));
    t.deepEqual(await server.folders(), ["a/"]);
  },
);

eachChannel("a folder in which another mount has worked can be removed", async (t, channel) => {
  const server = await BucketServer.start(t, HIERARCHICAL);
  const inner = await channel.mounted(t, server, ["--prefix", "d/"]);
  const outer = await channel.mounted(t, server);
  await shell(inner, "head -c 2M /dev/zero > log; echo line >> log; rm log");
  t.true((await server.folders("d/")).length > 1, "it has left folders");
  t.is(await shell(outer, "ls -A d; rmdir d; ls -A"), "");
  t.deepEqual(await server.folders(), []);
});

eachChannel("a mount of a folder that is not there yet makes it with what is in it", async (t, channel) => {
  const server = await BucketServer.start(t, HIERARCHICAL);
  const mount = await channel.mounted(t, server, ["--prefix", "deep/down/"]);
  t.is(await shell(mount, "ls -A"), "");
  await mkdir(mount.path("d"));
  t.deepEqual(await server.folders(), ["deep/", "deep/down/", "deep/down/d/"]);
});
