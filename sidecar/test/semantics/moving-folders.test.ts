// Renaming folders on a flat bucket: what happens while, and when it is broken off.

import test from "ava";
import { readFile, readdir, rename, writeFile } from "node:fs/promises";
import { onEachChannel, shell } from "../helpers/mounted.ts";
import { eventually, fill, movingBehaviours } from "./common/moving.ts";

const eachChannel = onEachChannel(test.serial);
movingBehaviours(eachChannel);

eachChannel(
  "RULES 28: a folder rename is answered after about five seconds; the mount shows it whole while the rest moves",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 120);
    t.is((await readdir(mount.path("old"))).length, 120);
    await server.latency(1000);
    const started = Date.now();
    await rename(mount.path("old"), mount.path("new"));
    t.true(Date.now() - started < 8500, `${Date.now() - started} ms`);
    t.is((await readdir(mount.path("new"))).length, 120);
    t.true((await server.names("old/")).length > 0, "it is not over yet");
    const written = writeFile(mount.path("new", "later"), "later"); // waits for its folder to have moved
    await server.latency(0);
    await written;
    t.is(await readFile(mount.path("new", "119"), "utf8"), "119");
    await eventually(t, async () => (await server.names("old/")).length === 0);
    t.is((await server.names("new/")).length, 121);
    t.is((await server.get("new/later"))?.toString(), "later");
  },
);

eachChannel(
  "RULES 28: a folder rename that a crash broke off is finished by the next start",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 80);
    await readdir(mount.path("old"));
    await server.latency(500);
    const renaming = rename(mount.path("old"), mount.path("new")).catch(() => undefined);
    await eventually(t, async () => (await server.names("new/")).length > 0);
    await mount.kill();
    await mount.detach();
    await renaming;
    await server.latency(0);
    const left = (await server.names("old/")).length;
    t.true(left > 0 && left < 80, `${left} had not been moved`);
    await mount.start();
    t.deepEqual(await server.names("old/"), []);
    t.is((await readdir(mount.path("new"))).length, 80);
  },
);

eachChannel(
  "a folder rename that is refused leaves everything where it was, also after a restart",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 40);
    await readdir(mount.path("old"));
    await server.faults({ method: "storage.objects.move", name: "old/7", action: "return-403" });
    await server.faults({ method: "storage.objects.copy", name: "old/7", action: "return-403" });
    await server.faults({ method: "storage.objects.rewrite", name: "old/7", action: "return-403" });
    await t.throwsAsync(rename(mount.path("old"), mount.path("new")), { code: "EACCES" });
    t.is((await server.names("old/")).length, 40);
    t.deepEqual(await server.names("new/"), []);
    t.is(await readFile(mount.path("old", "39"), "utf8"), "39");
    await server.clearFaults();
    await mount.restart();
    t.is((await server.names("old/")).length, 40);
  },
);

eachChannel("a folder rename rides out trouble of the bucket, and lost answers", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--deadline", "2s"]);
  await fill(server, "old", 20);
  await readdir(mount.path("old"));
  await server.faults(
    { method: "storage.objects.move", action: "lost-answer", count: 5 },
    { method: "storage.objects.move", action: "return-503", count: 60 },
  );
  await rename(mount.path("old"), mount.path("new"));
  await eventually(t, async () => (await server.names("old/")).length === 0);
  t.is((await server.names("new/")).length, 20);
  t.is(await shell(mount, "cat new/* | wc -c"), "30\n");
});
