// Two mounts and another writer: what each sees of the others' changes, and when.

import test from "ava";
import { createHash } from "node:crypto";
import { chmod, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, shell } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

const HOUR_MS = 3_600_000;

/** Waits until `look` answers with something else than undefined. */
async function until<T>(look: () => Promise<T | undefined>, limitMs: number): Promise<T> {
  for (const endMs = Date.now() + limitMs; ; await delay(20)) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms`);
  }
}

eachChannel(
  "a file made on one mount is found by the other at once, also after it was looked for in vain",
  async (t, channel) => {
    const server = await BucketServer.start(t);
    const [one, other] = await Promise.all([channel.mounted(t, server), channel.mounted(t, server)]);
    for (let round = 0; round < 20; round += 1) {
      await t.throwsAsync(stat(other.path(`f${round}`)), { code: "ENOENT" });
      await writeFile(one.path(`f${round}`), `round ${round}`);
      t.is(await readFile(other.path(`f${round}`), "utf8"), `round ${round}`);
    }
  },
);

eachChannel("the first file in an empty bucket is listed at once", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  t.is(await shell(mount, "ls"), "");
  await server.put("first", "1");
  t.is(await shell(mount, "sleep 0.5; ls"), "first\n");
});

eachChannel(
  "a replaced file is seen within a tenth of its age, whole, with another inode and another ETag",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    for (const bytes of ["longer than before", "short", "same!"]) {
      await server.put("f", "12345");
      await delay(1000); // a second old: trusted for a tenth of a second
      const before = await stat(mount.path("f"));
      await server.put("f", bytes);
      const seen = await until(async () => {
        const text = await readFile(mount.path("f"), "utf8");
        t.true(text === "12345" || text === bytes, "never a mix");
        return text === bytes ? text : undefined;
      }, 1000);
      t.is(seen, bytes);
      const after = await stat(mount.path("f"));
      t.not(after.ino, before.ino);
      t.not(
        `${Math.floor(after.mtimeMs / 1000)}-${after.size}`,
        `${Math.floor(before.mtimeMs / 1000)}-${before.size}`,
      );
    }
  },
);

eachChannel("an old file is trusted for the freshness time, and not longer", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--freshness", "2s"]);
  await server.put("f", "old");
  await server.age(HOUR_MS);
  t.is(await readFile(mount.path("f"), "utf8"), "old");
  await server.put("f", "new");
  t.is(await readFile(mount.path("f"), "utf8"), "old", "trusted");
  await delay(2200);
  t.is(await readFile(mount.path("f"), "utf8"), "new");
});

eachChannel(
  "with freshness 0 an open sees what was closed elsewhere while attributes set here wait to be sent",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "0"]);
    await writeFile(mount.path("f"), "ours");
    await chmod(mount.path("f"), 0o600);
    await server.put("f", "theirs");
    t.is(await readFile(mount.path("f"), "utf8"), "theirs");
    await chmod(mount.path("f"), 0o640);
    await server.remove("f");
    await t.throwsAsync(readFile(mount.path("f")), { code: "ENOENT" });
    await delay(1500); // what waited has nobody to be sent to
    t.deepEqual(await server.names(), []);
    t.is(await mount.stop(), 0, "and nothing is owed");
  },
);

eachChannel("RULES 24: with freshness 0 every open sees the newest version", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--freshness", "0"]);
  await server.put("f", "first");
  await server.age(HOUR_MS);
  for (let round = 0; round < 30; round += 1) {
    await server.put("f", `version ${"x".repeat(round % 7)} ${round}`);
    t.is(await readFile(mount.path("f"), "utf8"), `version ${"x".repeat(round % 7)} ${round}`);
  }
});

eachChannel(
  "RULES 7, 24: what was replaced elsewhere is not seen any more, also while a rename over it is under way here",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "0"]);
    for (const round of [1, 2, 3]) {
      await server.put("f", `old ${round}`);
      await server.put("g", `renamed ${round}`);
      t.is(await readFile(mount.path("f"), "utf8"), `old ${round}`);
      await server.faults({ method: "storage.objects.move", action: "stall-for-1s", count: 1 });
      const renamed = rename(mount.path("g"), mount.path("f"));
      await delay(400);
      await server.put("f", `new ${round}`);
      t.is(await readFile(mount.path("f"), "utf8"), `new ${round}`, "the object was moved before");
      await renamed;
      t.is(await readFile(mount.path("f"), "utf8"), `new ${round}`);
    }
  },
);

eachChannel(
  "a deleted file is gone within the time it was trusted for, a folder listing too",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "1s"]);
    await server.put("d/f", "x");
    await server.put("d/g", "y");
    await server.age(HOUR_MS);
    t.is(await shell(mount, "ls d"), "f\ng\n");
    await server.remove("d/f");
    await delay(1200);
    await t.throwsAsync(stat(mount.path("d/f")), { code: "ENOENT" });
    t.is(await shell(mount, "ls d"), "g\n");
  },
);

eachChannel(
  "RULES 13: an open file goes on reading its own version while it is replaced",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "0"]);
    const old = Buffer.alloc(20 << 20, "o");
    await server.put("f", old);
    const file = await open(mount.path("f"));
    t.is((await file.read(Buffer.alloc(10), 0, 10, 0)).bytesRead, 10);
    await delay(1500); // the whole-object GET that began at open has ended
    await server.put("f", Buffer.alloc(20 << 20, "n"));
    const hash = createHash("sha256");
    for await (const chunk of file.createReadStream({ start: 0 })) hash.update(chunk as Buffer);
    t.is(hash.digest("hex"), createHash("sha256").update(old).digest("hex"));
    t.is((await readFile(mount.path("f"))).toString("utf8", 0, 3), "nnn");
  },
);

eachChannel(
  "RULES 14: attributes changed elsewhere are seen, and the bytes are not fetched again",
  async (t, channel) => {
    const server = await BucketServer.start(t);
    const [one, other] = await Promise.all([
      channel.mounted(t, server, ["--freshness", "0"]),
      channel.mounted(t, server, ["--freshness", "0"]),
    ]);
    await writeFile(one.path("f"), "bytes");
    t.is(await readFile(other.path("f"), "utf8"), "bytes");
    const { ino } = await stat(other.path("f"));
    await shell(one, "chmod 600 f");
    await until(
      async () => (((await stat(other.path("f"))).mode & 0o777) === 0o600 ? true : undefined),
      5000,
    );
    await server.forgetRequests();
    t.is(await readFile(other.path("f"), "utf8"), "bytes");
    t.is((await stat(other.path("f"))).ino, ino, "the same version is the same inode");
    t.true((await server.requests()).every(({ responseBytes }) => responseBytes < 4096));
  },
);

eachChannel("an attribute change is acknowledged only when a crash would not lose it", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await writeFile(mount.path("f"), "x");
  await shell(mount, "chmod 640 f");
  await mount.kill();
  await mount.detach();
  // SEMANTICS: through libfuse 2 what others may read they may change, which needs no mode of its own.
  const first = channel.name === "native" ? undefined : "644";
  t.is((await server.stat("f"))?.metadata?.["goog-reserved-posix-mode"], first);
  await mount.start();
  t.is((await stat(mount.path("f"))).mode & 0o777, 0o640);
  t.is((await server.stat("f"))?.metadata?.["goog-reserved-posix-mode"], "640");
});

eachChannel(
  "RULES 33: a whole-file replacement may supersede another writer's, and both generations are logged",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await writeFile(mount.path("f"), "mine");
    const file = await open(mount.path("f"), "w");
    await file.write("mine again");
    const { generation } = await server.put("f", "theirs");
    await file.close();
    t.is((await server.get("f"))?.toString(), "mine again");
    t.true(mount.lines.some(({ severity, found }) => severity === "WARNING" && found === generation));
  },
);

eachChannel("an edit that meets another writer loses neither version", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await server.put("f", "base text");
  const file = await open(mount.path("f"), "r+");
  await file.write("BASE", 0);
  await server.put("f", "theirs");
  const { errno } = (await t.throwsAsync(file.close())) as NodeJS.ErrnoException;
  t.is(errno, -116); // ESTALE, which Node has no name for
  t.is((await server.get("f"))?.toString(), "theirs");
  const [conflict] = (await server.names()).filter((name) => name.startsWith("f.conflict-"));
  t.is((await server.get(conflict ?? ""))?.toString(), "BASE text");
  await delay(200);
  t.is(await readFile(mount.path("f"), "utf8"), "theirs");
});

eachChannel("O_EXCL on two mounts: the second close fails and nothing is replaced", async (t, channel) => {
  const server = await BucketServer.start(t);
  const [one, other] = await Promise.all([channel.mounted(t, server), channel.mounted(t, server)]);
  const first = await open(one.path("f"), "wx");
  const second = await open(other.path("f"), "wx");
  await first.write("first");
  await second.write("second");
  await first.close();
  await t.throwsAsync(second.close(), { code: "EEXIST" });
  t.is((await server.get("f"))?.toString(), "first");
});

eachChannel("lock names exclude across machines already when they are opened", async (t, channel) => {
  const server = await BucketServer.start(t);
  const [one, other] = await Promise.all([channel.mounted(t, server), channel.mounted(t, server)]);
  const lock = await open(one.path("index.lock"), "wx");
  await t.throwsAsync(open(other.path("index.lock"), "wx"), { code: "EEXIST" });
  await lock.close();
});

eachChannel(
  "RULES 24: a name that changes while it is being looked up and opened is read all the same",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "0s"]);
    await server.put("f", "version 0");
    await server.latency(60);
    let writing = true;
    const writer = (async () => {
      for (let round = 1; writing; round += 1) {
        await server.put("f", `version ${round}`);
        await delay(100);
      }
    })();
    for (let read = 0; read < 60; read += 1) t.regex(await readFile(mount.path("f"), "utf8"), /^version/);
    writing = false;
    await writer;
    await server.latency(0);
  },
);

eachChannel(
  "RULES 24: a large log that is appended to here is read also when another machine has appended before it is closed",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--freshness", "0s"]);
    const base = "a line\n".repeat(400_000);
    await server.put("log", base);
    const log = await open(mount.path("log"), "a"); // nothing of it is fetched
    await log.write("ours\n");
    await server.put("log", `${base}theirs\n`);
    const reading = readFile(mount.path("log"), "utf8");
    await delay(300);
    await log.close();
    t.is((await reading).slice(base.length), "theirs\nours\n");
  },
);

eachChannel(
  "two mounts overwrite one name while a third and the API read it: every answer is one whole version",
  async (t, channel) => {
    const server = await BucketServer.start(t);
    const [one, other, reader] = await Promise.all([
      channel.mounted(t, server),
      channel.mounted(t, server),
      channel.mounted(t, server),
    ]);
    const version = (writer: string, round: number): string =>
      `${writer}${round};`.repeat(1 + ((round * 7919) % 5000));
    const whole = (text: string): boolean => text === "" || /^(([ab]\d+);)\1*$/.test(text);
    await writeFile(one.path("f"), version("a", 0));
    let writing = true;
    const write = async (mount: typeof one, writer: string): Promise<void> => {
      for (let round = 1; round <= 100; round += 1) await writeFile(mount.path("f"), version(writer, round));
    };
    const writers = Promise.all([write(one, "a"), write(other, "b")]).finally(() => (writing = false));
    let reads = 0;
    while (writing) {
      const throughMount = await readFile(reader.path("f"), "utf8");
      const throughApi = (await server.get("f"))?.toString() ?? "";
      t.true(throughMount !== "" && whole(throughMount), throughMount.slice(0, 80));
      t.true(throughApi !== "" && whole(throughApi));
      reads += 1;
    }
    await writers;
    t.true(reads > 20);
    t.log(`${reads} reads while 200 versions were written`);
  },
);

eachChannel("a rename takes the place of a file made elsewhere", async (t, channel) => {
  const server = await BucketServer.start(t);
  const [one, other] = await Promise.all([channel.mounted(t, server), channel.mounted(t, server)]);
  await writeFile(one.path("a"), "A");
  await writeFile(other.path("b"), "B");
  await rename(one.path("a"), one.path("b"));
  t.is((await server.get("b"))?.toString(), "A");
});

eachChannel("--read-only refuses every change", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--read-only"]);
  await server.put("f", "x");
  t.is(await readFile(mount.path("f"), "utf8"), "x");
  for (const change of ["echo y > f", "echo y > g", "rm f", "mkdir d", "chmod 600 f", "mv f g"]) {
    await t.throwsAsync(shell(mount, change), { message: /Read-only file system/ }, change);
  }
});

eachChannel("--prefix shows what is below it and nothing else", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--prefix", "app/data/"]);
  await server.put("app/data/inside", "in");
  await server.put("app/outside", "out");
  t.is(await shell(mount, "ls -a; cat inside; mkdir d; echo x > d/new"), ".\n..\ninside\nin");
  t.deepEqual(await server.names(), ["app/data/d/", "app/data/d/new", "app/data/inside", "app/outside"]);
});
