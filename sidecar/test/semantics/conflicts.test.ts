// What several writers, lost answers and bad moments do to files that are open.

import test from "ava";
import { chmod, open, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type Mount, onEachChannel, shell } from "../helpers/mounted.ts";

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
