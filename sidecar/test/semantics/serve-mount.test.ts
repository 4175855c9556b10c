// The serve mount: a second folder for web servers, for reading only, which shows what the bucket holds.

import test from "ava";
import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { constants } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Cleaning } from "../helpers/cleanups.ts";
import { mounted, python, servedSession, shell, type Mount } from "../helpers/mounted.ts";
import type { BucketServer } from "../helpers/bucket-server.ts";

const MIB = 1 << 20;
const HOUR_MS = 3_600_000;

const sum = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function readServed(mount: Mount, name: string): Promise<string> {
  return fs.readFile(mount.served(name), "utf8");
}

test.serial(
  "what was closed is there at once: uploaded, overwritten, renamed and removed, 300 times",
  async (t) => {
    const { mount } = await servedSession(t);
    for (let round = 0; round < 100; round += 1) {
      const [first, second] = [`first ${round}`, `second ${round} ${"x".repeat(round % 40)}`];
      await fs.writeFile(mount.path("a"), first);
      t.is(await readServed(mount, "a"), first);
      await fs.writeFile(mount.path("a"), second);
      t.is(await readServed(mount, "a"), second);
      await fs.rename(mount.path("a"), mount.path("b"));
      t.is(await readServed(mount, "b"), second);
      await t.throwsAsync(readServed(mount, "a"), { code: "ENOENT" });
      await fs.rm(mount.path("b"));
      await t.throwsAsync(readServed(mount, "b"), { code: "ENOENT" });
    }
  },
);

test.serial("folders made, renamed and removed are there, and gone, at once", async (t) => {
  const { mount } = await servedSession(t);
  await shell(mount, "mkdir -p one/two; echo x > one/two/file");
  t.is(await readServed(mount, "one/two/file"), "x\n");
  await shell(mount, "mv one three");
  t.is(await readServed(mount, "three/two/file"), "x\n");
  await t.throwsAsync(readServed(mount, "one/two/file"), { code: "ENOENT" });
  t.deepEqual(await fs.readdir(mount.served("three")), ["two"]);
  await shell(mount, "rm -r three");
  await t.throwsAsync(fs.stat(mount.served("three")), { code: "ENOENT" });
  t.deepEqual(await fs.readdir(mount.served()), []);
});

test.serial("a file that was never uploaded is not there, also not in the listing", async (t) => {
  const { mount } = await servedSession(t);
  const file = await fs.open(mount.path("new"), "w");
  await file.write("half");
  await t.throwsAsync(readServed(mount, "new"), { code: "ENOENT" });
  t.deepEqual(await fs.readdir(mount.served()), []);
  await file.sync();
  t.is(await readServed(mount, "new"), "half");
  await file.write(" and half");
  t.is(await readServed(mount, "new"), "half", "only what the bucket holds");
  await file.close();
  t.is(await readServed(mount, "new"), "half and half");
});

test.serial(
  "what is renamed over a file before its first upload does not take the old one away",
  async (t) => {
    const { mount } = await servedSession(t);
    await fs.writeFile(mount.path("page"), "old");
    const file = await fs.open(mount.path("page.tmp"), "w");
    await file.write("new");
    await fs.rename(mount.path("page.tmp"), mount.path("page"));
    t.is(await readServed(mount, "page"), "old");
    await file.close();
    t.is(await readServed(mount, "page"), "new");
  },
);

test.serial("nobody can write there, not even root", async (t) => {
  const { mount } = await servedSession(t);
  await fs.writeFile(mount.path("f"), "x");
  const refused = { code: "EROFS" };
  await t.throwsAsync(fs.writeFile(mount.served("g"), "x"), refused);
  await t.throwsAsync(fs.writeFile(mount.served("f"), "x"), refused);
  await t.throwsAsync(fs.rm(mount.served("f")), refused);
  await t.throwsAsync(fs.rename(mount.served("f"), mount.served("g")), refused);
  await t.throwsAsync(fs.mkdir(mount.served("d")), refused);
  await t.throwsAsync(fs.chmod(mount.served("f"), 0o600), refused);
  await t.throwsAsync(fs.symlink("x", mount.served("l")), refused);
  await t.throwsAsync(fs.utimes(mount.served("f"), 1, 1), refused);
});

test.serial("a version has a number of its own; other attributes keep it", async (t) => {
  const { mount } = await servedSession(t);
  const inode = async (name: string) => (await fs.stat(mount.served(name))).ino;
  await fs.writeFile(mount.path("a"), "one");
  const first = await inode("a");
  await fs.writeFile(mount.path("a"), "two");
  const second = await inode("a");
  t.not(second, first);
  await fs.chmod(mount.path("a"), 0o640);
  await fs.utimes(mount.path("a"), 1000, 2000);
  const { ino, mode, mtimeMs } = await fs.stat(mount.served("a"));
  t.is(ino, second);
  t.is(mode & 0o777, 0o640);
  t.is(mtimeMs, 2_000_000);
});

const changes: Readonly<
  Record<string, (mount: Mount, server: BucketServer, size: number) => Promise<unknown>>
> = {
  "overwritten by another whole file": (mount, _, size) =>
    fs.writeFile(mount.path("f"), Buffer.alloc(size, "n")),
  "edited in the middle": async (mount, _, size) => {
    const file = await fs.open(mount.path("f"), "r+");
    await file.write(Buffer.alloc(1000, "n"), 0, 1000, Math.floor(size / 2));
    await file.close();
  },
  "appended to": (mount) => fs.appendFile(mount.path("f"), "more"),
  cut: (mount) => fs.truncate(mount.path("f"), 10),
  "replaced by a rename": async (mount, _, size) => {
    await fs.writeFile(mount.path("g"), Buffer.alloc(size, "n"));
    await fs.rename(mount.path("g"), mount.path("f"));
  },
  removed: (mount) => fs.rm(mount.path("f")),
  "renamed with its folder": async (mount) => {
    await fs.rename(mount.path("f"), mount.path("h"));
  },
  "replaced elsewhere": async (mount, server, size) => {
    await server.put("f", Buffer.alloc(size, "n"));
    await delay(200);
    await fs.readFile(mount.path("f"));
  },
};

for (const [change, carryOut] of Object.entries(changes)) {
  for (const size of [50_000, 12 * MIB]) {
    test.serial(`who is reading ${size} bytes goes on with that version while it is ${change}`, async (t) => {
      const { server, mount } = await servedSession(t, ["--freshness", "0"]);
      const old = Buffer.alloc(size, "0123456789abcdef");
      await fs.writeFile(mount.path("f"), old);
      const reader = await fs.open(mount.served("f"));
      t.teardown(() => reader.close());
      const head = Buffer.alloc(100);
      await reader.read(head, 0, 100, 0);
      await carryOut(mount, server, size);
      t.is((await reader.stat()).size, size);
      // Without what the kernel has read ahead, too.
      await dropCache(reader);
      const whole = Buffer.alloc(size);
      for (let at = 0; at < size;) at += (await reader.read(whole, at, size - at, at)).bytesRead;
      t.is(sum(whole), sum(old));
    });
  }
}

/** posix_fadvise(2), POSIX_FADV_DONTNEED, of a file that another process has open. */
async function dropCache(file: fs.FileHandle): Promise<void> {
  const { execFileSync } = await import("node:child_process");
  execFileSync("/usr/bin/python3", [
    "-c",
    `import os; os.posix_fadvise(os.open("/proc/${process.pid}/fd/${file.fd}", os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)`,
  ]);
}

test.serial(
  "a file that is being overwritten all the time is read whole each time, old or new",
  async (t) => {
    const { mount } = await servedSession(t);
    const answers = JSON.parse(
      await python(
        mount,
        `
import hashlib, json, os, random, threading
def version(n):
    body = b"%d\\n" % n + os.urandom(random.randrange(200_000))
    return body + hashlib.sha256(body).digest()
open("f", "wb").write(version(0))
stop = threading.Event()
seen, torn = set(), []
def read():
    while not stop.is_set():
        data = open("${mount.served("f")}", "rb").read()
        body = data[:-32]
        if hashlib.sha256(body).digest() != data[-32:]: torn.append(len(data))
        else: seen.add(body.split(b"\\n")[0].decode())
readers = [threading.Thread(target=read) for _ in range(3)]
for each in readers: each.start()
for n in range(1, 240):
    way = n % 4
    if way == 0:
        with open("f", "wb") as f: f.write(version(n))
    elif way == 1:
        with open("g", "wb") as f: f.write(version(n))
        os.rename("g", "f")
    elif way == 2:
        with open("f", "r+b") as f:
            f.truncate(0); f.write(version(n))
    else:
        with open("f", "r+b") as f:
            data = version(n); f.write(data); f.truncate(len(data))
stop.set()
for each in readers: each.join()
print(json.dumps({"seen": len(seen), "torn": torn}))`,
      ),
    ) as { seen: number; torn: number[] };
    t.deepEqual(answers.torn, []);
    t.true(answers.seen > 20, `${answers.seen} versions seen`);
  },
);

test.serial("a log that is open for writing all the time is shown as it was last synced", async (t) => {
  const { mount } = await servedSession(t);
  const said = await python(
    mount,
    `
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for n in range(100):
    os.write(log, b"line %03d\\n" % n); os.fsync(log)
    os.write(log, b"not yet ")
    text = open("${mount.served("log")}", "rb").read()
    assert text.endswith(b"line %03d\\n" % n), (n, text[-40:])
print("right")`.replace("\nlog", "\nimport os\nlog"),
  );
  t.is(said.trim(), "right");
});

test.serial(
  "symbolic links lead where they lead, folders and files of one name leave the folder",
  async (t) => {
    const { server, mount } = await servedSession(t);
    await shell(mount, "mkdir d; echo x > d/f; ln -s d/f link");
    t.is(await readServed(mount, "link"), "x\n");
    t.is(await fs.readlink(mount.served("link")), "d/f");
    await server.put("both", "file");
    await server.put("both/file", "inside");
    t.is(await readServed(mount, "both/file"), "inside");
  },
);

test.serial("what others change is seen by the rule of trust, whole, under another number", async (t) => {
  const { server, mount } = await servedSession(t, ["--freshness", "2s"]);
  await server.put("f", "old");
  await server.age(HOUR_MS);
  t.is(await readServed(mount, "f"), "old");
  const { ino } = await fs.stat(mount.served("f"));
  await server.put("f", "much newer");
  await server.remove("f").then(() => server.put("f", "newest"));
  t.is(await readServed(mount, "f"), "old", "trusted");
  await delay(2200);
  t.is(await readServed(mount, "f"), "newest");
  t.not((await fs.stat(mount.served("f"))).ino, ino);
  await server.remove("f");
  await delay(2200);
  await t.throwsAsync(readServed(mount, "f"), { code: "ENOENT" });
});

test.serial("a name that others overwrite all the time is read whole each time", async (t) => {
  const { server, mount } = await servedSession(t);
  let done = false;
  const versions = Array.from({ length: 7 }, (_, index) => Buffer.alloc(1 + index * 30_000, String(index)));
  await server.put("f", versions[0]!);
  const reading = (async () => {
    for (let count = 0; ; count += 1) {
      if (done) return count;
      const bytes = await fs.readFile(mount.served("f"));
      t.true(
        versions.some((version) => version.equals(bytes)),
        `${bytes.length} bytes`,
      );
    }
  })();
  for (let round = 1; round < 200; round += 1) await server.put("f", versions[round % versions.length]!);
  done = true;
  t.true((await reading) > 10);
});

test.serial("another user reads there; without --allow-other nobody else does", async (t) => {
  const { mount } = await servedSession(t);
  await fs.writeFile(mount.path("f"), "x", { mode: 0o644 });
  t.is(await asNobody(mount, "f"), "x");
  const closed = await servedSession(t, ["--no-allow-other"]);
  await fs.writeFile(closed.mount.path("f"), "x", { mode: 0o644 });
  await t.throwsAsync(asNobody(closed.mount, "f"), { message: /Permission denied/ });
});

function asNobody(mount: Mount, name: string): Promise<string> {
  return shell(mount, `setpriv --reuid 65534 --regid 65534 --clear-groups cat ${mount.served(name)}`);
}

/** Times of closing one name, and of reading it and another on the serve mount. */
async function rounds(
  mount: Mount,
  count: number,
): Promise<{ close: number; read: number; longest: number }> {
  const closes: number[] = [];
  const reads: number[] = [];
  for (let round = 0; round < count; round += 1) {
    const begin = performance.now();
    await fs.writeFile(mount.path("d/a"), `${round}\n`);
    closes.push(performance.now() - begin);
    await readServed(mount, "d/a");
    await readServed(mount, "d/b");
    reads.push(performance.now() - begin - (closes.at(-1) ?? 0));
  }
  const sorted = (values: number[]): number[] => values.toSorted((one, other) => one - other);
  const median = (values: number[]): number => Math.round(sorted(values)[values.length >> 1] ?? 0);
  return { close: median(closes), read: median(reads), longest: Math.round(Math.max(...closes, ...reads)) };
}

test.serial(
  "RULES 27: a look-up that stalls for six seconds delays no close and no other name of its folder",
  async (t) => {
    const { server, mount } = await servedSession(t);
    await shell(mount, "mkdir d; echo 1 > d/a; echo 1 > d/b");
    t.is(await readServed(mount, "d/a"), "1\n");
    t.is(await readServed(mount, "d/b"), "1\n");
    await server.age(HOUR_MS);
    await delay(150);
    for (const name of ["a", "b"]) {
      t.is(await readServed(mount, `d/${name}`), "1\n");
      t.is(await fs.readFile(mount.path("d", name), "utf8"), "1\n");
    }
    await server.faults({ method: "storage.objects.list", action: "stall-for-6s", count: 1 });
    const stalled = readServed(mount, "d/unknown").catch((error: NodeJS.ErrnoException) => error.code);
    await delay(300);
    const stalling = await rounds(mount, 40);
    t.is(await stalled, "ENOENT");
    const quiet = await rounds(mount, 40);
    t.log(`with and without it, medians and longest, ms: ${JSON.stringify({ stalling, quiet })}`);
    t.true(stalling.close - quiet.close <= 100 && stalling.read - quiet.read <= 100);
    // One that waited for the look-up would have taken seconds.
    t.true(stalling.longest < 2000);
  },
);

test.serial(
  "RULES 30: what was replaced leaves nothing behind: no file, no descriptor, no memory",
  async (t) => {
    const rounds = Number(process.env["SIDEMOUNT_TEST_ROUNDS"] ?? 1000);
    t.timeout(2 * 60_000 + rounds * 60);
    const { mount } = await servedSession(t);
    const worker = await mount.worker();
    const overwrite = (count: number): Promise<string> =>
      python(
        mount,
        `
for n in range(${count}):
    with open("f", "wb") as f: f.write(b"%d " % n * 1000)
    with open("${mount.served("f")}", "rb") as f: assert f.read().startswith(b"%d " % n)`,
      );
    await overwrite(500);
    await delay(1000);
    const before = await left(mount, worker);
    await overwrite(rounds);
    await delay(1500);
    const after = await left(mount, worker);
    t.log(JSON.stringify({ before, after }));
    t.true(after.copies <= 4, `${after.copies} files`);
    t.true(after.descriptors <= before.descriptors + 4, `${after.descriptors} descriptors`);
    t.true(after.memory < before.memory + 60 * MIB, `${after.memory / MIB} MiB`);
  },
);

async function left(
  mount: Mount,
  worker: number,
): Promise<{ copies: number; descriptors: number; memory: number }> {
  return {
    copies: (await fs.readdir(`${mount.stateDirectory}/copies`)).length,
    descriptors: (await fs.readdir(`/proc/${worker}/fd`)).length,
    memory: (await mount.memory()).now,
  };
}

test.serial(
  "both folders go when it is told to stop, and both refuse writes when nobody is left to serve them",
  async (t) => {
    const { server, mount } = await servedSession(t);
    await fs.writeFile(mount.path("f"), "x");
    t.is(await mount.stop(), 0);
    t.deepEqual(await fs.readdir(mount.directory), []);
    t.deepEqual(await fs.readdir(mount.serveDirectory), []);
    await fs.access(mount.serveDirectory, constants.W_OK); // the empty folder it was before
    await mount.start();
    t.is(await readServed(mount, "f"), "x");
    t.is(await mount.loseWorkers(), 1);
    for (const folder of [mount.directory, mount.serveDirectory])
      await t.throwsAsync(fs.writeFile(`${folder}/f`, "x"), { code: "EROFS" });
    const other = await mounted(t as Cleaning, server);
    t.is(await fs.readFile(other.path("f"), "utf8"), "x");
  },
);
