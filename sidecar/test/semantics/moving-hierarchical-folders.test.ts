// Renaming folders on a hierarchical bucket: one operation of the service, and what happens while it takes its time.

import test from "ava";
import { chmod, open, readFile, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, shell } from "../helpers/mounted.ts";
import { eventually, fill, movingBehaviours } from "./common/moving.ts";

const HIERARCHICAL = { hierarchical: true };
const HOUR_MS = 3_600_000;
const MB = 1 << 20;
const eachChannel = onEachChannel(test.serial, HIERARCHICAL);

movingBehaviours(eachChannel);

eachChannel(
  "RULES 34: a folder is renamed by one request, whatever is below it, and nothing below is asked for again",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    for (let i = 0; i < 10; i += 1) await fill(server, `old/${i}`, 50);
    await server.age(HOUR_MS);
    t.is(await shell(mount, "find old -type f | wc -l; cat old/7/42"), "500\n42");
    // It shows only folders, and how old it is was seen from what is in them: it is asked for once more, but not at once.
    await shell(mount, "sleep 0.3; ls old");
    await server.forgetRequests();
    await rename(mount.path("old"), mount.path("new"));
    t.is(await shell(mount, "find new -type f | wc -l; cat new/7/42"), "500\n42");
    const asked = (await server.requests()).map(({ method }) => method.replace("storage.", ""));
    t.deepEqual(asked.sort(), ["folders.get", "folders.rename", "objects.get", "objects.list"]);
    t.is((await server.names("new/")).length, 500);
    t.deepEqual(await server.names("old/"), []);
    t.is(await server.folder("old/"), undefined);
  },
);

eachChannel(
  "RULES 34: a folder rename that takes long is answered after five seconds; what is known is there meanwhile",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 20);
    await server.age(HOUR_MS);
    t.is((await shell(mount, "ls -l old; cat old/3")).at(-1), "3");
    await server.folderRenames({ takesMs: 9000 });
    const started = Date.now();
    await rename(mount.path("old"), mount.path("new"));
    const took = Date.now() - started;
    t.true(took > 4500 && took < 8500, `${took} ms`);
    t.is((await readdir(mount.path("new"))).length, 20);
    t.is(await readFile(mount.path("new", "3"), "utf8"), "3");
    t.is((await server.names("old/")).length, 20, "it is not over yet");
    const written = writeFile(mount.path("new", "later"), "later"); // waits for its folder to have moved
    t.is(await readFile(mount.path("new", "19"), "utf8"), "19");
    await written;
    t.is((await server.names("new/")).length, 21);
    t.is((await server.get("new/later"))?.toString(), "later");
    t.deepEqual(await server.names("old/"), []);
  },
);

eachChannel(
  "RULES 34: what is asked for in a folder that is being renamed is answered when that is over",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 20);
    await server.folderRenames({ takesMs: 2000 });
    const renaming = rename(mount.path("old"), mount.path("new"));
    await delay(300);
    await renaming;
    t.is((await readdir(mount.path("new"))).length, 20);
    await server.folderRenames({ takesMs: 7000 });
    await rename(mount.path("new"), mount.path("newer"));
    t.is(await shell(mount, "cat newer/7; ls newer | wc -l; ls"), "720\nnewer\n");
  },
);

eachChannel(
  "RULES 34: a folder rename that a crash broke off is waited for by the next start, with what was owed below",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 20);
    await server.put("old/gone", Buffer.alloc(80 * MB, 8));
    const gone = await open(mount.path("old/gone"));
    await unlink(mount.path("old/gone"));
    if (channel.name === "native") await delay(300); // until libfuse has carried out the unlink
    await server.folderRenames({ takesMs: 6000 });
    await chmod(mount.path("old/7"), 0o640);
    const renaming = rename(mount.path("old"), mount.path("new")).catch(() => undefined);
    await delay(1000);
    await mount.kill();
    await mount.detach();
    await renaming;
    await gone.close().catch(() => undefined);
    t.is((await server.names("old/")).length, 21);
    await mount.start();
    t.is((await readdir(mount.path("new"))).length, 20);
    t.deepEqual(await readdir(mount.directory), ["new"]);
    t.is((await server.names("new/")).length, 20);
    t.is((await server.stat("new/7"))?.metadata?.["goog-reserved-posix-mode"], "640");
  },
);

eachChannel(
  "RULES 34: a folder rename that a crash kept from the service is begun by the next start",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 20);
    await readdir(mount.path("old"));
    await server.faults({ method: "storage.folders.rename", action: "return-503" });
    const renaming = rename(mount.path("old"), mount.path("new")).catch(() => undefined);
    await delay(1000);
    await mount.kill();
    await mount.detach();
    await renaming;
    await server.clearFaults();
    t.is((await server.names("old/")).length, 20);
    await mount.start();
    t.is((await server.names("new/")).length, 20);
    t.deepEqual(await readdir(mount.directory), ["new"]);
  },
);

eachChannel("a folder rename that is refused leaves everything where it was", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await fill(server, "old", 20);
  await readdir(mount.path("old"));
  await server.faults({ method: "storage.folders.rename", action: "return-403" });
  await t.throwsAsync(rename(mount.path("old"), mount.path("new")), { code: "EACCES" });
  await server.clearFaults();
  await server.folderRenames({ fails: true, takesMs: 500 });
  await t.throwsAsync(rename(mount.path("old"), mount.path("new")));
  t.deepEqual(await readdir(mount.directory), ["old"]);
  t.is(await readFile(mount.path("old", "19"), "utf8"), "19");
  await server.folderRenames({});
  await mount.restart();
  t.is((await server.names("old/")).length, 20);
  await rename(mount.path("old"), mount.path("new"));
  t.deepEqual(await readdir(mount.directory), ["new"]);
});

eachChannel(
  "a folder rename the service breaks off after it was answered is begun again, or undone for everyone to see",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 20);
    await readdir(mount.path("old"));
    await server.folderRenames({ fails: true, takesMs: 7000 });
    await rename(mount.path("old"), mount.path("new"));
    await server.folderRenames({});
    await eventually(t, async () => (await server.names("new/")).length === 20);
    await server.folderRenames({ fails: true, takesMs: 7000 });
    await rename(mount.path("new"), mount.path("newer"));
    t.deepEqual(await readdir(mount.directory), ["newer"]);
    await server.faults({ method: "storage.folders.rename", action: "return-403" });
    await eventually(t, async () => (await readdir(mount.directory)).includes("new"));
    t.deepEqual(await readdir(mount.directory), ["new"]);
    t.is(await readFile(mount.path("new", "19"), "utf8"), "19");
  },
);

eachChannel("a folder rename rides out trouble of the bucket, and lost answers", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--deadline", "2s"]);
  await fill(server, "old", 20);
  await readdir(mount.path("old"));
  await server.faults({ method: "storage.folders.rename", action: "return-503", count: 2 });
  await server.faults({ method: "storage.folders.rename", action: "lost-answer", count: 1 });
  await rename(mount.path("old"), mount.path("new"));
  await server.folderRenames({ takesMs: 3000 });
  await server.faults(
    { method: "storage.folders.rename", action: "lost-answer", count: 1 },
    { method: "storage.buckets.operations.get", action: "return-503", count: 5 },
  );
  await rename(mount.path("new"), mount.path("newer"));
  await eventually(t, async () => (await server.names("newer/")).length === 20);
  t.is(await shell(mount, "cat newer/* | wc -c"), "30\n");
});

eachChannel(
  "open files, unlinked files and changes of attributes go along with their folder",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("old/large", Buffer.alloc(80 * MB, 7));
    await server.put("old/gone", Buffer.alloc(80 * MB, 8));
    await server.put("old/deep/plain", "x");
    const [large, gone] = [await open(mount.path("old/large")), await open(mount.path("old/gone"))];
    const edited = await open(mount.path("old/edited"), "w");
    await edited.write("before");
    await unlink(mount.path("old/gone"));
    if (channel.name === "native") await delay(300); // until libfuse has carried out the unlink
    await shell(mount, "chmod 640 old/deep/plain; chmod 700 old/deep; mv old new");
    await edited.write(" after");
    const end = Buffer.alloc(10);
    await large.read(end, 0, 10, 80 * MB - 10);
    t.is(end[9], 7);
    await gone.read(end, 0, 10, 80 * MB - 10);
    t.is(end[9], 8);
    await Promise.all([large, gone, edited].map((file) => file.close()));
    await delay(2000);
    t.deepEqual(await server.names(), ["new/deep/", "new/deep/plain", "new/edited", "new/large"]);
    t.is((await server.get("new/edited"))?.toString(), "before after");
    t.is((await server.stat("new/deep/plain"))?.metadata?.["goog-reserved-posix-mode"], "640");
    t.is((await server.stat("new/deep/"))?.metadata?.["goog-reserved-posix-mode"], "700");
  },
);

eachChannel(
  "should the service give what is below a renamed folder new generations, the mount follows them",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.folderRenames({ newGenerations: true });
    await server.put("old/large", Buffer.alloc(80 * MB, 7));
    await fill(server, "old", 10);
    await shell(mount, "cat old/3 >/dev/null; mkdir old/sub; echo x > old/sub/f");
    const file = await open(mount.path("old/large"), "r+");
    await rename(mount.path("old"), mount.path("new"));
    const end = Buffer.alloc(10);
    await file.read(end, 0, 10, 80 * MB - 10);
    t.is(end[9], 7);
    await file.write(Buffer.from("changed"), 0, 7, 0);
    await file.close();
    t.is((await server.get("new/large"))?.subarray(0, 7).toString(), "changed");
    t.is(
      await shell(mount, "cat new/3 new/sub/f; echo more >> new/3; chmod 600 new/sub/f; sleep 1.5"),
      "3x\n",
    );
    t.is((await server.get("new/3"))?.toString(), "3more\n");
    t.is((await server.stat("new/sub/f"))?.metadata?.["goog-reserved-posix-mode"], "600");
    await mount.restart();
    t.is(await shell(mount, "cat new/3 new/sub/f"), "3more\nx\n");
  },
);

eachChannel("what one mount renames another one shows", async (t, channel) => {
  const server = await BucketServer.start(t, HIERARCHICAL);
  const one = await channel.mounted(t, server);
  const other = await channel.mounted(t, server, ["--freshness", "300ms"]);
  await shell(one, "mkdir -p old/sub; echo x > old/sub/f");
  t.is(await shell(other, "cat old/sub/f; ls old"), "x\nsub\n");
  await rename(one.path("old"), one.path("new"));
  await delay(500);
  t.is(
    await shell(other, "ls; cat new/sub/f; test ! -e old && test ! -e old/sub/f && echo gone"),
    "new\nx\ngone\n",
  );
  await shell(one, "mkdir old; echo y > old/f");
  await delay(500);
  t.is(await shell(other, "ls; ls old; cat old/f"), "new\nold\nf\ny\n");
});

eachChannel(
  "folders that are swapped elsewhere are what they are now, also with older files",
  async (t, channel) => {
    const server = await BucketServer.start(t, HIERARCHICAL);
    const one = await channel.mounted(t, server);
    const other = await channel.mounted(t, server, ["--freshness", "300ms"]);
    await shell(
      one,
      "mkdir blue; echo blue > blue/f; mkdir green; echo green > green/f; chmod 700 blue; chmod 750 green",
    );
    await delay(1500);
    const seen = (): Promise<string> => shell(other, "cat blue/f green/f; stat -c %a blue green");
    for (const expected of [
      "blue\ngreen\n700\n750\n",
      "green\nblue\n750\n700\n",
      "blue\ngreen\n700\n750\n",
    ]) {
      t.is(await seen(), expected);
      await shell(one, "mv blue old; mv green blue; mv old green");
      await delay(500);
    }
  },
);
