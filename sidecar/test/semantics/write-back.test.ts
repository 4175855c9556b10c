// --write-back: acknowledged is what the local disk has; the bucket gets it soon, in whatever trouble it is meanwhile.

import test, { type ExecutionContext } from "ava";
import {
  chmod,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer, end } from "../helpers/bucket-server.ts";
import { sidemount } from "../helpers/command.ts";
import { mounted, onEachChannel, python, type Channel, type Mount } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

const INSERTS = { method: "storage.objects.insert", action: "return-503" } as const;
/** An upload of what was acknowledged begins no sooner. */
const BEFORE_UPLOAD_MS = 150;
const DEADLINE = ["--deadline", "2s"] as const;

function session(t: ExecutionContext, channel: Channel, options: readonly string[] = []) {
  return channel.session(t, ["--write-back", ...DEADLINE, ...options]);
}

async function text(server: BucketServer, name: string): Promise<string | undefined> {
  return (await server.get(name))?.toString();
}

async function arrives(
  t: ExecutionContext,
  server: BucketServer,
  name: string,
  expected: string | undefined,
) {
  for (let tries = 0; tries < 200 && (await text(server, name)) !== expected; tries += 1) await delay(50);
  t.is(await text(server, name), expected, name);
}

async function inserts(server: BucketServer): Promise<string[]> {
  const log = await server.requests();
  return log
    .filter(({ method, status }) => method === "storage.objects.insert" && status === 200)
    .map(({ object = "" }) => object);
}

async function spent(work: () => Promise<void>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}

async function waitForBucket(mount: Mount): Promise<void> {
  await sidemount("pending", mount.directory, "--wait", "--timeout", "20s");
}

eachChannel(
  "close and fsync return while the bucket takes nothing, and readers see the bytes",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.put("known", "old");
    t.is(await readFile(mount.path("known"), "utf8"), "old");
    await server.faults(INSERTS);
    const began = performance.now();
    await writeFile(mount.path("new"), "one");
    await writeFile(mount.path("known"), "two");
    const file = await open(mount.path("synced"), "w");
    await file.write("three");
    await file.sync();
    const tookMs = performance.now() - began;
    t.true(tookMs < 1500, `${tookMs} ms`);
    for (const [name, expected] of [
      ["new", "one"],
      ["known", "two"],
      ["synced", "three"],
    ] as const)
      t.is(await readFile(mount.path(name), "utf8"), expected);
    t.is(await text(server, "known"), "old");
    const listed = await sidemount("pending", mount.directory);
    t.regex(listed.stdout, /owed +new/);
    await server.clearFaults();
    await waitForBucket(mount);
    await file.close();
    t.is(await text(server, "new"), "one");
    t.is(await text(server, "known"), "two");
    t.is(await text(server, "synced"), "three");
  },
);

eachChannel(
  "RULES 11: what was acknowledged is uploaded by the next start, before anybody sees the folder",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.put("known", "old");
    await server.put("again", "old");
    await mkdir(mount.path("folder"));
    await server.faults(INSERTS);
    await writeFile(mount.path("folder/new"), "one");
    await writeFile(mount.path("empty"), "");
    await writeFile(mount.path("known"), "two");
    await chmod(mount.path("known"), 0o640);
    await writeFile(mount.path("again"), "three");
    // Acknowledged, and just being written again by somebody who was not told that this is stored.
    const truncated = await open(mount.path("again"), "w");
    await truncated.write("unfini");
    await writeFile(mount.path("edited"), "0123456789");
    const edited = await open(mount.path("edited"), "r+");
    await edited.write("xxx", 4);
    await mount.kill();
    await mount.detach();
    await truncated.close().catch(() => undefined);
    await edited.close().catch(() => undefined);
    t.is(await text(server, "known"), "old");
    await server.clearFaults();
    await mount.start();
    t.is(await text(server, "folder/new"), "one");
    t.is(await text(server, "empty"), "");
    t.is(await text(server, "known"), "two");
    t.is((await stat(mount.path("known"))).mode & 0o777, 0o640);
    t.is(await text(server, "again"), "three");
    t.is(await text(server, "edited"), "0123456789");
    t.is(await readFile(mount.path("again"), "utf8"), "three");
  },
);

eachChannel(
  "a start whose bucket does not take what is owed mounts nothing and loses nothing",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.faults(INSERTS);
    await writeFile(mount.path("f"), "bytes");
    await mount.kill();
    await mount.detach();
    const error = await t.throwsAsync(mount.start());
    t.regex(error.message, /The bucket does not take 1 file that an earlier run had acknowledged/);
    await server.clearFaults();
    await mount.start();
    t.is(await text(server, "f"), "bytes");
  },
);

eachChannel(
  "what is renamed or removed before it was uploaded costs no upload of its own",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    const replace = async (name: string, text: string) => {
      await writeFile(mount.path(`${name}.tmp`), text);
      await rename(mount.path(`${name}.tmp`), mount.path(name));
    };
    const atOnce = async () => {
      await server.put("document", "old");
      await server.forgetRequests();
      const tookMs = [
        await spent(() => replace("document", "new")),
        await spent(async () => {
          await writeFile(mount.path("passing"), "x");
          await unlink(mount.path("passing"));
        }),
        await spent(() => replace("twice", "1")),
        await spent(() => replace("twice", "2")),
      ];
      await waitForBucket(mount);
      t.is(await text(server, "document"), "new");
      t.is(await text(server, "twice"), "2");
      t.deepEqual(await server.names(), ["document", "twice"]);
      return Math.max(...tookMs);
    };
    // Where the machine is slow it was uploaded before it was renamed: that is another matter.
    for (let tries = 1; (await atOnce()) > BEFORE_UPLOAD_MS; tries += 1)
      if (tries === 20) return t.fail("the machine is never fast enough to see it");
    t.deepEqual((await inserts(server)).sort(), ["document", "twice"]);
  },
);

eachChannel(
  "RULES 11: renames and removals of what is owed hold after everything was killed",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.put("document", "old");
    await server.put("gone", "old");
    await server.faults(INSERTS);
    await writeFile(mount.path("document.tmp"), "new");
    await rename(mount.path("document.tmp"), mount.path("document"));
    await writeFile(mount.path("gone"), "newer");
    await unlink(mount.path("gone"));
    await writeFile(mount.path("passing"), "x");
    await unlink(mount.path("passing"));
    await mount.kill();
    await mount.detach();
    await server.clearFaults();
    await mount.start();
    t.deepEqual(await server.names(), ["document"]);
    t.is(await text(server, "document"), "new");
  },
);

eachChannel("names of what the bucket has are changed once it has the newest bytes", async (t, channel) => {
  const { server, mount } = await session(t, channel);
  await server.put("a", "old a");
  await server.put("b", "old b");
  await mkdir(mount.path("folder"));
  await writeFile(mount.path("a"), "new a");
  await rename(mount.path("a"), mount.path("moved"));
  t.is(await text(server, "moved"), "new a");
  await writeFile(mount.path("b"), "new b");
  await writeFile(mount.path("moved"), "newer");
  await rename(mount.path("moved"), mount.path("b"));
  t.is(await text(server, "b"), "newer");
  await writeFile(mount.path("folder/one"), "1");
  await rename(mount.path("folder"), mount.path("other"));
  t.is(await readFile(mount.path("other/one"), "utf8"), "1");
  await waitForBucket(mount);
  t.deepEqual(await server.names(), ["b", "other/", "other/one"]);
  await rm(mount.path("other"), { recursive: true });
  t.deepEqual(await server.names(), ["b"]);
});

eachChannel("fsync of a folder waits for the bucket, and fails when nothing goes on", async (t, channel) => {
  const { server, mount } = await session(t, channel);
  const sync = (): Promise<string> =>
    python(mount, "import os\nfolder = os.open('d', os.O_RDONLY)\nos.fsync(folder)");
  await mkdir(mount.path("d"));
  await writeFile(mount.path("d/f"), "bytes");
  await sync();
  t.is(await text(server, "d/f"), "bytes");
  await server.faults(INSERTS);
  await writeFile(mount.path("d/f"), "more");
  await t.throwsAsync(sync(), { message: /Input\/output error/ });
  await server.clearFaults();
  await sync();
  t.is(await text(server, "d/f"), "more");
});

eachChannel(
  "told to stop it uploads what is owed; what the bucket does not take is exit 75 and the next start's",
  async (t, channel) => {
    const { server, mount } = await session(t, channel, ["--drain-timeout", "3s"]);
    for (let number = 0; number < 20; number += 1)
      await writeFile(mount.path(`f${number}`), `bytes ${number}`);
    t.is(await mount.stop(), 0);
    t.is((await server.names()).length, 20);
    await mount.start();
    await server.faults(INSERTS);
    await writeFile(mount.path("f0"), "newer");
    t.is(await mount.stop(), 75);
    const said = mount.lines.find(({ message }) => String(message).includes("the next start uploads them"));
    t.deepEqual(said?.["examples"], ["f0"]);
    t.is(await text(server, "f0"), "bytes 0");
    await server.clearFaults();
    await mount.start();
    t.is(await text(server, "f0"), "newer");
    t.is(await mount.stop(), 0);
  },
);

eachChannel(
  "what others do meanwhile: whole files replace it, edits are kept beside it, O_EXCL replaces nothing",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.put("edited", "0123456789");
    const whole = (name: string): Promise<void> => writeFile(mount.path(name), "ours");
    t.is(await readFile(mount.path("edited"), "utf8"), "0123456789");
    await server.faults(INSERTS);
    await whole("whole");
    const file = await open(mount.path("edited"), "r+");
    await file.write("xx", 2);
    await file.close();
    await python(
      mount,
      "import os\nf = os.open('mine', os.O_CREAT | os.O_EXCL | os.O_WRONLY)\nos.write(f, b'ours')\nos.close(f)",
    );
    await server.clearFaults();
    for (const name of ["whole", "edited", "mine"]) await server.put(name, "theirs");
    await waitForBucket(mount);
    await delay(500);
    t.is(await text(server, "whole"), "ours");
    t.is(await text(server, "edited"), "theirs");
    t.is(await text(server, "mine"), "theirs");
    const [conflict = ""] = (await server.names()).filter((name) => name.startsWith("edited.conflict-"));
    t.is(await text(server, conflict), "01xx456789");
    const listed = await sidemount("pending", mount.directory);
    t.regex(listed.stdout, /failed +mine/);
    for (const name of ["edited", "mine"]) t.is(await readFile(mount.path(name), "utf8"), "theirs", name);
  },
);

eachChannel(
  "a file written again and again is acknowledged each time, and its last state is uploaded",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.latency(300);
    for (let number = 0; number < 20; number += 1) await writeFile(mount.path("f"), `state ${number}`);
    await python(mount, "for n in range(20):\n  with open('log', 'a') as f: f.write(f'line {n}\\n')");
    await truncate(mount.path("f"), 3);
    await server.latency(0);
    await waitForBucket(mount);
    t.is(await text(server, "f"), "sta");
    t.is((await text(server, "log"))?.split("\n").length, 21);
    t.true((await inserts(server)).length < 41); // as many states were acknowledged
  },
);

eachChannel(
  "RULES 4: what is appended after an upload whose answer never came is there once",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    const old = Buffer.alloc(3_000_000, "a line that was there\n");
    await server.put("log", old);
    t.true((await readFile(mount.path("log"))).equals(old));
    await server.faults(
      { method: "storage.objects.insert", action: "lost-answer", name: "log", count: 1 },
      { method: "storage.objects.insert", action: "return-503", name: "log" },
      { method: "storage.objects.get", action: "return-503" },
    );
    const file = await open(mount.path("log"), "a");
    await file.write("one\n");
    await file.sync(); // acknowledged aside, and sent as a whole
    await delay(3000);
    await file.write("two\n");
    await file.close();
    await server.clearFaults();
    await waitForBucket(mount);
    const found = (await server.get("log")) ?? Buffer.alloc(0);
    t.is(found.subarray(old.length).toString(), "one\ntwo\n");
  },
);

eachChannel(
  "while the bucket does not answer at all, files that are known are written and read, and new names are not guessed",
  async (t, channel) => {
    const { server, mount } = await session(t, channel);
    await server.put("known", "old");
    t.is(await readFile(mount.path("known"), "utf8"), "old");
    await end(server.child, "SIGKILL");
    await writeFile(mount.path("known"), "new");
    const file = await open(mount.path("known"), "a");
    await file.write(" and more");
    await file.close();
    t.is(await readFile(mount.path("known"), "utf8"), "new and more");
    await t.throwsAsync(writeFile(mount.path("unknown"), "x"), { code: "EIO" });
    await server.restart();
    await waitForBucket(mount);
    t.is(await text(server, "known"), "new and more");
    await writeFile(mount.path("unknown"), "x");
  },
);

test.serial("a worker that is killed leaves what is owed to the next one", async (t) => {
  const server = await BucketServer.start(t);
  const mount = await mounted(t, server, ["--channel", "device", "--write-back", ...DEADLINE]);
  await server.faults(INSERTS);
  await writeFile(mount.path("f"), "bytes");
  await writeFile(mount.path("empty"), "");
  await writeFile(mount.path("again"), "first");
  const again = await open(mount.path("again"), "r+");
  await again.write("second");
  await mount.killWorker();
  t.is(await readFile(mount.path("f"), "utf8"), "bytes");
  await server.clearFaults();
  await arrives(t, server, "again", "first");
  await arrives(t, server, "f", "bytes");
  await arrives(t, server, "empty", "");
  await again.close();
  await waitForBucket(mount);
  t.is(await text(server, "again"), "second");
});
