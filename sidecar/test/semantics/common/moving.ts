// Renaming folders and removing what is open, as it is on either kind of bucket.

import { open, readFile, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { BucketServer } from "../../helpers/bucket-server.ts";
import { shell, type EachChannel } from "../../helpers/mounted.ts";

const MB = 1 << 20;

export async function fill(server: BucketServer, folder: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => server.put(`${folder}/${i}`, `${i}`)));
}

export async function eventually(
  t: { fail(message: string): void },
  holds: () => Promise<boolean>,
): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await delay(100)) if (await holds()) return;
  t.fail("it did not come about within 30 s");
}

export function movingBehaviours(eachChannel: EachChannel): void {
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
      t.is((await server.names("z/c/")).filter((name) => /l\d+$|d\d+\/f$/.test(name)).length, 40);
      t.is(await shell(mount, "ls -d z/c/d* | wc -l"), "20\n");
    },
  );

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
        await (name === "large"
          ? shell(mount, "ln -s elsewhere large")
          : writeFile(mount.path(name), "mine"));
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
}
