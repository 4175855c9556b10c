// What is acknowledged is in the bucket: whatever is killed, and whatever the bucket answers.

import test from "ava";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { access, chmod, mkdir, open, readFile, rename, stat, unlink, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { onEachChannel, python, session, SETTINGS, shell } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);
/** For those that wait most of their time: all at once, after the others. */
const eachChannelTogether = onEachChannel(test);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

eachChannel(
  "X1: everything is killed the moment a close returns; the bucket holds the same bytes, and so does the next mount",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const files = new Map(Array.from({ length: 20 }, (_, i) => [`f${i}`, randomBytes(1 + i * 50_000)]));
    for (const [name, bytes] of files) await writeFile(mount.path(name), bytes);
    await mount.kill();
    for (const [name, bytes] of files)
      t.is(sha256((await server.get(name)) ?? Buffer.alloc(0)), sha256(bytes), name);
    await mount.start(); // over the dead mount
    for (const [name, bytes] of files) t.is(sha256(await readFile(mount.path(name))), sha256(bytes), name);
  },
);

eachChannel(
  "a file that was being written at the kill is not in the bucket; its bytes are kept and reported",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const file = await open(mount.path("half"), "w");
    await file.write("half a sentence");
    await delay(200);
    await mount.kill();
    await file.close().catch(() => undefined);
    await mount.detach();
    await mount.start();
    t.is(await server.get("half"), undefined);
    t.true(mount.lines.some(({ object, severity }) => object === "half" && severity === "WARNING"));
  },
);

eachChannel("a file that mknod has made is in the bucket", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await python(mount, 'import os; os.mknod("made", 0o644)');
  t.is((await server.get("made"))?.toString(), "");
});

eachChannel(
  "what was set of a folder outlives a kill at once, also of one that has no object of its own",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("folder/f", "x");
    await chmod(mount.path("folder"), 0o711);
    await mount.kill();
    await mount.start();
    t.is((await stat(mount.path("folder"))).mode & 0o7777, 0o711);
  },
);

for (const when of ["after", "in the middle of"] as const)
  for (const [what, from, to] of [
    ["file", "folder/f", "folder/g"],
    ["folder", "folder", "other"],
  ] as const)
    eachChannel(
      `what was set of a ${what} goes with it, and outlives a kill ${when} its rename`,
      async (t, channel) => {
        const { server, mount } = await channel.session(t);
        await mkdir(mount.path("folder"));
        await writeFile(mount.path("folder/f"), "bytes");
        await chmod(mount.path("folder/f"), 0o640);
        await chmod(mount.path("folder"), 0o711);
        if (when === "in the middle of")
          await server.faults(
            { method: "storage.objects.move", action: "lost-answer" },
            { method: "storage.objects.get", action: "stall-for-60s" },
          );
        const renaming = rename(mount.path(from), mount.path(to)).catch(() => undefined);
        const file = what === "file" ? to : `${to}/f`;
        const moved = [file, ...(what === "file" ? [] : [`${to}/`])];
        const isThere = async (): Promise<boolean> => {
          const names = await server.names("");
          return moved.every((name) => names.includes(name));
        };
        for (let looks = 0; looks < 200 && !(await isThere()); looks += 1) await delay(20);
        if (when === "after") await renaming;
        await mount.kill();
        await server.clearFaults();
        await renaming;
        await mount.start();
        t.is((await stat(mount.path(file))).mode & 0o7777, 0o640);
        t.is((await stat(mount.path(what === "file" ? "folder" : to))).mode & 0o7777, 0o711);
      },
    );

eachChannel(
  "what was set of a file stays with it where a kill comes before its rename, also if what was to be replaced has the same bytes",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    for (const name of ["from", "to"]) await writeFile(mount.path(name), "bytes");
    await chmod(mount.path("from"), 0o640);
    const { mode: before } = await stat(mount.path("to"));
    await server.faults({ method: "storage.objects.move", action: "return-503" });
    const renaming = rename(mount.path("from"), mount.path("to")).catch(() => undefined);
    const asked = async (): Promise<boolean> =>
      (await server.requests()).some(({ method, status }) => method.endsWith(".move") && status === 503);
    for (let looks = 0; looks < 200 && !(await asked()); looks += 1) await delay(20);
    await mount.kill();
    await server.clearFaults();
    await renaming;
    await mount.start();
    t.is((await stat(mount.path("from"))).mode & 0o7777, 0o640);
    t.is((await stat(mount.path("to"))).mode, before);
  },
);

eachChannel(
  "what is set of a folder while earlier changes are being sent is stored as well",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await mkdir(mount.path("folder"));
    const folder = await open(mount.path("folder"));
    await server.latency(1000);
    await folder.chmod(0o711);
    await delay(1500); // gathered for a second, and on its way since
    await folder.chmod(0o755);
    await folder.close();
    await server.latency(0);
    const mode = async (): Promise<string | undefined> =>
      (await server.stat("folder/"))?.metadata?.["goog-reserved-posix-mode"];
    for (let tries = 0; tries < 100 && (await mode()) !== "755"; tries += 1) await delay(50);
    t.is(await mode(), "755");
  },
);

eachChannel("a file that was unlinked does not hold up the end of the mount", async (t, channel) => {
  const { mount } = await channel.session(t);
  const file = await open(mount.path("temporary"), "w+");
  await file.write("bytes for nobody else");
  await unlink(mount.path("temporary"));
  await delay(200); // the native channel carries it out a little later
  await file.write("more");
  const begin = performance.now();
  t.is(await mount.stop(), 0, "nothing is owed to the bucket");
  t.true(performance.now() - begin < 20_000, "less than --drain-timeout");
  await file.close().catch(() => undefined);
});

eachChannelTogether(
  "what was written while an earlier close was being answered is kept and reported after a kill, too",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await python(mount, "open('log', 'w').close()");
    await server.latency(3000);
    const writer = python(
      mount,
      `import os, threading, time
log = os.open("log", os.O_WRONLY); os.write(log, b"one ")
closing = threading.Thread(target=os.close, args=[os.dup(log)]); closing.start()
time.sleep(1.5); os.write(log, b"two "); closing.join(); time.sleep(0.3)
open("${mount.stateDirectory}-closed", "w").close(); time.sleep(5)`,
    ).catch(() => undefined);
    while (!existsSync(`${mount.stateDirectory}-closed`)) await delay(20);
    await mount.kill();
    await server.latency(0);
    await writer;
    t.is((await server.get("log"))?.toString(), "one ");
    await mount.detach();
    await mount.start();
    await delay(1000);
    t.true(mount.lines.some(({ object, severity }) => object === "log" && severity === "WARNING"));
  },
);

eachChannel("times and sizes, so ETags, are the same on a fresh machine", async (t, channel) => {
  const { mount } = await channel.session(t);
  await writeFile(mount.path("f"), "x");
  await shell(mount, "touch -d 2020-02-02 f; cp -p f g; echo y >> g");
  const before = await Promise.all(["f", "g"].map((name) => stat(mount.path(name), { bigint: true })));
  await mount.stop();
  await mount.start(["--state-dir", `${mount.stateDirectory}-new`]);
  const after = await Promise.all(["f", "g"].map((name) => stat(mount.path(name), { bigint: true })));
  t.deepEqual(
    after.map(({ mtimeNs, size, mode }) => [mtimeNs, size, mode]),
    before.map(({ mtimeNs, size, mode }) => [mtimeNs, size, mode]),
  );
});

eachChannelTogether(
  "X2: a bucket that answers 503 to writes makes close fail within 30 s; the old version stays, and later writes work",
  async (t, channel) => {
    t.timeout(90_000);
    const { server, mount } = await channel.session(t);
    await writeFile(mount.path("old"), "old");
    await server.faults({ method: "storage.objects.insert", action: "return-503" });
    const begunMs = Date.now();
    const failed = await Promise.allSettled([
      writeFile(mount.path("old"), "new"),
      writeFile(mount.path("fresh"), "fresh"),
    ]);
    const tookMs = Date.now() - begunMs;
    t.deepEqual(
      failed.map((result) =>
        result.status === "rejected" ? (result.reason as NodeJS.ErrnoException).code : "done",
      ),
      ["EIO", "EIO"],
    );
    t.true(tookMs < 30_000, `${tookMs} ms`);
    t.is((await server.get("old"))?.toString(), "old");
    t.is(await server.get("fresh"), undefined);
    await server.clearFaults();
    t.is(await readFile(mount.path("old"), "utf8"), "old");
    await t.throwsAsync(access(mount.path("fresh")), { code: "ENOENT" });
    await writeFile(mount.path("fresh"), "again");
    t.is((await server.get("fresh"))?.toString(), "again");
  },
);

eachChannel("a bucket that answers slowly or wrongly now and then is not noticed", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  for (const action of ["return-503", "return-429", "return-reset-connection", "lost-answer"]) {
    await server.faults({ method: "storage.objects.insert", action, count: 1 });
    await writeFile(mount.path(action), action);
    t.is((await server.get(action))?.toString(), action);
  }
  await server.put("cold", randomBytes(3 << 20));
  await server.faults({ method: "storage.objects.get", action: "return-broken-stream-after-500K", count: 2 });
  t.is((await readFile(mount.path("cold"))).length, 3 << 20);
});

eachChannelTogether("a close that takes longer than 15 seconds returns success", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  const bytes = randomBytes(9 << 20); // sent by two requests, one after the other
  const file = await open(mount.path("f"), "w");
  await file.write(bytes);
  await server.latency(8000);
  const begunMs = Date.now();
  await file.close();
  t.true(Date.now() - begunMs > 15_100, "libfuse's addon would have given up by itself");
  await server.latency(0);
  t.is(sha256((await server.get("f")) ?? Buffer.alloc(0)), sha256(bytes));
});

eachChannel(
  "X3: a folder that may not be read gives EACCES, never an empty folder or a missing file",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("f", "x");
    await server.faults({ method: "*", action: "return-403" });
    await t.throwsAsync(readFile(mount.path("f")), { code: "EACCES" });
    await t.throwsAsync(shell(mount, "ls"), { message: /Permission denied/ });
    await server.clearFaults();
  },
);

eachChannel("stopping lets open uploads finish and leaves no mount", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  const bytes = randomBytes(30 << 20);
  await server.latency(100);
  const writing = writeFile(mount.path("big"), bytes);
  await delay(300);
  const code = await mount.stop();
  await writing;
  t.is(code, 0);
  t.is(sha256((await server.get("big")) ?? Buffer.alloc(0)), sha256(bytes));
  t.false((await readFile("/proc/self/mountinfo", "utf8")).includes(mount.directory));
});

eachChannel("every upload is logged with object, generation, bytes and time", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await writeFile(mount.path("cat.jpg"), "meow");
  await delay(100);
  const line = mount.lines.find(({ message }) => message === "upload done");
  t.like(line, {
    severity: "INFO",
    object: "cat.jpg",
    bytes: 4,
    generation: (await server.stat("cat.jpg"))?.generation,
  });
  t.is(typeof line?.["ms"], "number");
  t.is(typeof line?.["time"], "string");
});

for (const { name, options } of SETTINGS) {
  test.serial(
    `${name}: a close that could not upload reports it, and the name shows the old version`,
    async (t) => {
      const { server, mount } = await session(t, options);
      await server.put("f", "old version");
      await server.faults({ method: "storage.objects.insert", action: "return-403" });
      await t.throwsAsync(writeFile(mount.path("f"), "new"), { code: "EACCES" });
      t.is((await server.get("f"))?.toString(), "old version");
      t.is(await readFile(mount.path("f"), "utf8"), "old version");
      await server.clearFaults();
      t.is(await readFile(mount.path("f"), "utf8"), "old version");
    },
  );
}
