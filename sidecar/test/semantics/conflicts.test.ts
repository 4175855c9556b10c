// What several writers, lost answers and bad moments do to files that are open.

import test from "ava";
import { chmod, mkdir, open, readdir, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { BucketServer } from "../helpers/bucket-server.ts";
import { type Mount, onEachChannel, session, shell } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

const MB = 1 << 20;
/** As libuv, which has no name for it, reports ESTALE. */
const STALE = { message: /-116/ };

async function descriptorsOf(mount: Mount): Promise<number> {
  const links = await shell(mount, `ls -l /proc/${await mount.worker()}/fd`);
  return links.split("\n").filter((line) => line.includes("/copies/")).length;
}

eachChannel(
  "RULES 9: what is written after a conflict follows to the conflict's object, and close says so again",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("doc", "one\n");
    const file = await open(mount.path("doc"), "r+");
    await file.write("ONE\n", 0);
    await server.put("doc", "theirs\n");
    await t.throwsAsync(file.sync(), STALE);
    await file.write("two\n", 4);
    await t.throwsAsync(file.close(), STALE);
    t.is((await server.get("doc"))?.toString(), "theirs\n");
    const [conflict] = (await server.names()).filter((name) => name.startsWith("doc.conflict-"));
    t.is((await server.get(conflict ?? ""))?.toString(), "ONE\ntwo\n");
    t.is(await readFile(mount.path("doc"), "utf8"), "theirs\n");
  },
);

eachChannel(
  "RULES 4: an upload whose answer never came is no other writer's when it is repeated",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--deadline", "2s"]);
    await server.put("doc", "one\n");
    const file = await open(mount.path("doc"), "r+");
    await file.write("ONE\n", 0);
    await server.faults(
      { method: "storage.objects.insert", action: "lost-answer", count: 1 },
      { method: "storage.objects.insert", action: "return-503" },
      { method: "storage.objects.get", action: "return-503" },
    );
    await t.throwsAsync(file.sync(), { code: "EIO" });
    await server.clearFaults();
    await file.write("two\n", 4);
    await t.notThrowsAsync(file.close());
    t.deepEqual(await server.names(), ["doc"]);
    t.is((await server.get("doc"))?.toString(), "ONE\ntwo\n");
  },
);

/** The next insert under this name arrives when it was given up long ago; and all others fail until then. */
async function insertComesLate(server: BucketServer, name: string): Promise<void> {
  await server.faults(
    { method: "storage.objects.insert", name, action: "late-by-2.5s", count: 1 },
    { method: "storage.objects.insert", name, action: "return-503" },
  );
}

/** Until the name was in the bucket, if that is seen. */
async function came(server: BucketServer, name: string): Promise<void> {
  const endMs = Date.now() + 4000;
  while ((await server.stat(name)) === undefined && Date.now() < endMs) await delay(1);
}

/** Until the name was in the bucket, and is there no more. */
async function cameAndWent(server: BucketServer, name: string): Promise<void> {
  await came(server, name);
  const endMs = Date.now() + 10_000;
  while ((await server.stat(name)) !== undefined && Date.now() < endMs) await delay(20);
}

const LATE = ["--deadline", "1s"];

eachChannel(
  "RULES 6: an upload that arrives after the file was unlinked does not bring it back",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, LATE);
    const file = await open(mount.path("f"), "w");
    await file.write("late");
    await insertComesLate(server, "f");
    await t.throwsAsync(file.sync(), { code: "EIO" });
    await unlink(mount.path("f"));
    await delay(300); // on the native channel it is carried out a little later
    await file.close();
    await cameAndWent(server, "f");
    t.deepEqual(await server.names(), []);
    t.deepEqual(await readdir(mount.path()), []);
    const methods = (await server.requests()).map(({ method }) => method);
    t.true(methods.includes("storage.objects.delete"), "it had arrived");
  },
);

test.serial(
  "RULES 6: an upload that arrives after the file was renamed leaves nothing under the old name",
  async (t) => {
    const { server, mount } = await session(t, LATE);
    await mkdir(mount.path("d"));
    const [file, below] = [await open(mount.path("f"), "w"), await open(mount.path("d/f"), "w")];
    await file.write("one");
    await below.write("two");
    await insertComesLate(server, "f");
    await insertComesLate(server, "d/f");
    await Promise.all([file, below].map((each) => t.throwsAsync(each.sync(), { code: "EIO" })));
    await rename(mount.path("f"), mount.path("g"));
    await rename(mount.path("d"), mount.path("e"));
    await file.close();
    await below.close();
    await Promise.all(["f", "d/f"].map((name) => cameAndWent(server, name)));
    t.deepEqual(await server.names(), ["e/", "e/f", "g"]);
    t.is((await server.get("g"))?.toString(), "one");
    t.is((await server.get("e/f"))?.toString(), "two");
    await server.clearFaults();
    // The names are as good as new.
    await writeFile(mount.path("f"), "new");
    await rename(mount.path("e"), mount.path("d"));
    await delay(2500);
    t.deepEqual(await server.names(), ["d/", "d/f", "f", "g"]);
  },
);

test.serial(
  "RULES 6: an upload that had arrived, and nobody knew, is what is renamed or unlinked",
  async (t) => {
    const { server, mount } = await session(t, LATE);
    for (const name of ["renamed", "unlinked"]) await server.put(name, "before");
    for (const [name, leave] of [
      ["renamed", () => rename(mount.path("renamed"), mount.path("to"))],
      ["unlinked", () => unlink(mount.path("unlinked"))],
      ["made", () => rename(mount.path("made"), mount.path("kept"))],
    ] as const) {
      const file = await open(mount.path(name), "w");
      await file.write("after");
      await server.faults(
        { method: "storage.objects.insert", name, action: "lost-answer", count: 1 },
        { method: "storage.objects.insert", name, action: "return-503" },
      );
      await t.throwsAsync(file.sync(), { code: "EIO" });
      await server.clearFaults();
      await leave();
      await file.close();
    }
    t.deepEqual(await server.names(), ["kept", "to"]);
    for (const name of ["kept", "to"]) t.is((await server.get(name))?.toString(), "after");
    await delay(2500); // what is watched is the old names
    t.deepEqual(await server.names(), ["kept", "to"]);
  },
);

test.serial("RULES 6: an upload that arrives after the next start is deleted then", async (t) => {
  const { server, mount } = await session(t, LATE);
  const file = await open(mount.path("f"), "w");
  await file.write("late");
  await insertComesLate(server, "f");
  await t.throwsAsync(file.sync(), { code: "EIO" });
  await unlink(mount.path("f"));
  await delay(300);
  await mount.kill();
  await mount.detach();
  await file.close().catch(() => undefined);
  await mount.start();
  await cameAndWent(server, "f");
  t.deepEqual(await server.names(), []);
});

test.serial("RULES 6: a lock that nobody was given is in nobody's way when it arrives", async (t) => {
  const { server, mount } = await session(t, [...LATE, "--freshness", "0"]);
  await insertComesLate(server, "f.lock");
  await t.throwsAsync(open(mount.path("f.lock"), "wx"), { code: "EIO" });
  await server.clearFaults();
  await came(server, "f.lock");
  const lock = await open(mount.path("f.lock"), "wx");
  await lock.close();
  await delay(2500);
  t.deepEqual(await server.names(), ["f.lock"], "and the one that was given stays");
});

eachChannel(
  "RULES 14: attributes set while bytes or other attributes are being sent reach the bucket too",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const mode = async (name: string): Promise<string | undefined> =>
      (await server.stat(name))?.metadata?.["goog-reserved-posix-mode"];
    await server.latency(400);
    const file = await open(mount.path("f"), "w");
    await file.write("x");
    const closing = file.sync();
    await delay(200);
    await file.chmod(0o640);
    await closing;
    await file.close();
    await delay(3000);
    t.is(await mode("f"), "640");
    await chmod(mount.path("f"), 0o600);
    await delay(1200); // the patch is on its way
    await chmod(mount.path("f"), 0o604);
    await delay(3000);
    t.is(await mode("f"), "604");
  },
);

eachChannel(
  "attributes that cannot be sent are tried again, and at a stop left to the next run",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--deadline", "2s"]);
    await writeFile(mount.path("f"), "x");
    await server.faults({ method: "storage.objects.patch", action: "return-503" });
    await chmod(mount.path("f"), 0o600);
    await delay(1500);
    t.is(await mount.stop(), 75);
    await server.clearFaults();
    await server.latency(200); // what is not waited for would come too late
    await mount.start();
    await server.latency(0);
    t.is((await server.stat("f"))?.metadata?.["goog-reserved-posix-mode"], "600");
    t.is((await stat(mount.path("f"))).mode & 0o777, 0o600);
  },
);

eachChannel(
  "RULES 3: a large file that is written to while it is synced is read again, not refused",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const file = await open(mount.path("log"), "w");
    await file.write(Buffer.alloc(20 * MB, 1));
    await server.latency(200);
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i += 1) {
        await file.write(Buffer.alloc(1000, i), 0, 1000, i * 5000);
        await delay(20);
      }
    })();
    await t.notThrowsAsync(file.sync());
    writing = false;
    await writer;
    await file.close();
    await delay(100);
    t.true((await readFile(mount.path("log"))).equals((await server.get("log")) ?? Buffer.alloc(0)));
  },
);

eachChannel("opens that fail, renames and evictions leave no descriptor behind", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--cache-size", "1MiB", "--deadline", "2s"]);
  for (let i = 0; i < 40; i += 1) await server.put(`d/${i}`, Buffer.alloc(100_000, i));
  for (let i = 0; i < 40; i += 1) t.is((await readFile(mount.path("d", `${i}`))).length, 100_000);
  await delay(500);
  t.is(await descriptorsOf(mount), 0);
  await rename(mount.path("d/0"), mount.path("d/first")); // evicted long ago
  await rename(mount.path("d"), mount.path("e"));
  t.is((await readdir(mount.path("e"))).length, 40);
  t.is((await readFile(mount.path("e/first"))).length, 100_000);
  t.is((await readFile(mount.path("e/39"))).length, 100_000);
  await server.faults({ method: "storage.objects.get", action: "return-503" });
  await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      t.throwsAsync(readFile(mount.path("e", `${i + 1}`)), { code: "EIO" }),
    ),
  );
  await server.clearFaults();
  await delay(1000);
  t.is(await descriptorsOf(mount), 0);
});

eachChannel(
  "a medium file closed while it is still arriving is kept whole, and its descriptor given back",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("medium", Buffer.alloc(30 * MB, 5));
    await server.faults({ method: "storage.objects.get", action: "stall-for-1s-after-2048K", count: 1 });
    const file = await open(mount.path("medium"));
    await file.read(Buffer.alloc(10), 0, 10, 0);
    await file.close();
    await delay(3500);
    t.is(await descriptorsOf(mount), 0);
    await server.forgetRequests();
    t.is((await readFile(mount.path("medium"))).length, 30 * MB);
    t.false((await server.requests()).some(({ responseBytes }) => responseBytes > MB));
  },
);

eachChannel("a truncation that cannot be uploaded is not shown as done", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--deadline", "2s"]);
  await writeFile(mount.path("f"), "whole text");
  await delay(300);
  await server.faults({ method: "storage.objects.insert", action: "return-503" });
  await t.throwsAsync(shell(mount, `/usr/bin/python3 -c "import os; os.truncate('f', 5)"`), {
    message: /Input\/output/,
  });
  await server.clearFaults();
  await delay(300);
  t.is(await readFile(mount.path("f"), "utf8"), "whole text");
});
