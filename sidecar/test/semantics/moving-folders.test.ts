// Renaming folders on a flat bucket, and removing what is open: what happens while, and when it is broken off.

import test from "ava";
import { open, readFile, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, shell } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

const MB = 1 << 20;

async function fill(server: BucketServer, folder: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => server.put(`${folder}/${i}`, `${i}`)));
}

async function eventually(t: { fail(message: string): void }, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await delay(100)) if (await holds()) return;
  t.fail("it did not come about within 30 s");
}

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
  "RULES 28: a file that is being uploaded when its folder is renamed goes along",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "old", 3);
    await readdir(mount.path("old"));
    await server.faults({ method: "storage.objects.insert", action: "stall-for-1s", count: 1 });
    const writing = writeFile(mount.path("old", "fresh"), "fresh");
    await delay(300);
    await rename(mount.path("old"), mount.path("new"));
    await writing;
    t.deepEqual(await server.names(), ["new/0", "new/1", "new/2", "new/fresh"]);
    await delay(300); // longer than the version is trusted
    t.is(await readFile(mount.path("new", "fresh"), "utf8"), "fresh");
  },
);

eachChannel(
  "RULES 28: names made below a folder while it is renamed are below its new name",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await fill(server, "a/b", 60);
    await readdir(mount.path("a/b"));
    await server.latency(100);
    const script = `cd a/b; for i in $(seq 20); do mkdir d$i; echo x > d$i/f; ln -s f l$i; done`;
    const making = shell(mount, script);
    await delay(150);
    await rename(mount.path("a/b"), mount.path("a/c"));
    await rename(mount.path("a"), mount.path("z"));
    await making;
    await server.latency(0);
    t.deepEqual(await server.names("a/"), []);
    t.is((await server.names("z/c/")).filter((name) => /l\d+$|d\d+\/f?$/.test(name)).length, 60);
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

eachChannel(
  "RULES 28: unlinking a large file that is open and only partly here downloads nothing",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("large", Buffer.alloc(80 * MB, 7));
    const file = await open(mount.path("large"));
    await file.read(Buffer.alloc(10), 0, 10, 0);
    await delay(300);
    await server.forgetRequests();
    const started = Date.now();
    await unlink(mount.path("large"));
    t.true(Date.now() - started < 1000);
    t.false((await server.requests()).some(({ responseBytes }) => responseBytes > MB));
    t.deepEqual(await readdir(mount.directory), []);
    await writeFile(mount.path("large"), "another");
    t.is(await readFile(mount.path("large"), "utf8"), "another");
    await file.close();
    await delay(300);
    t.is((await server.get("large"))?.toString(), "another");
  },
);

eachChannel(
  "RULES 28: the rest of an unlinked open file stays readable until its last close",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("large", Buffer.alloc(80 * MB, 7));
    const file = await open(mount.path("large"));
    await unlink(mount.path("large"));
    const end = Buffer.alloc(10);
    await file.read(end, 0, 10, 80 * MB - 10);
    t.deepEqual(end, Buffer.alloc(10, 7));
    await file.close();
    await eventually(t, async () => (await server.stat("large")) === undefined);
  },
);

eachChannel(
  "an unlink whose object is still needed by readers is not forgotten in a crash or at a stop",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    for (const stop of [() => mount.kill(), () => mount.stop()]) {
      await server.put("large", Buffer.alloc(80 * MB, 7));
      const file = await open(mount.path("large"));
      await unlink(mount.path("large"));
      // SEMANTICS: with libfuse 2 an unlink of what is open is carried out a tenth of a second after its answer.
      if (channel.name === "native") await delay(300);
      t.not(await server.stat("large"), undefined);
      await stop();
      await file.close().catch(() => undefined);
      await mount.detach();
      await mount.start();
      t.is(await server.stat("large"), undefined);
    }
  },
);

eachChannel(
  "a link or lock file may take the name of an unlinked file that is still being read",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    for (const name of ["large", "large.lock"]) {
      await server.put(name, Buffer.alloc(80 * MB, 7));
      const file = await open(mount.path(name));
      await unlink(mount.path(name));
      await (name === "large" ? shell(mount, "ln -s elsewhere large") : writeFile(mount.path(name), "mine"));
      await file.close();
    }
    t.is(await shell(mount, "readlink large; cat large.lock"), "elsewhere\nmine");
  },
);

eachChannel(
  "a large open file stays readable while it and the folder above it are renamed",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--sole-writer"]); // so that a lost answer is no doubt whose rename it was
    await server.put("a/large", Buffer.alloc(100 * MB, 7));
    const file = await open(mount.path("a/large"));
    await server.latency(50);
    await server.faults({ method: "storage.objects.move", action: "lost-answer", fraction: 0.5 });
    let reading = true;
    const reader = (async () => {
      for (let i = 0; reading; i = (i + 37) % 99) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(100), 0, 100, i * MB);
        t.is(bytesRead, 100);
        t.is(buffer[99], 7);
      }
    })();
    for (let i = 0; i < 3; i += 1) {
      await rename(mount.path("a/large"), mount.path("a/moved"));
      await rename(mount.path("a"), mount.path("b"));
      await rename(mount.path("b/moved"), mount.path("b/large"));
      await rename(mount.path("b"), mount.path("a"));
    }
    reading = false;
    await t.notThrowsAsync(reader);
    await file.close();
  },
);
