// The serve mount where things go wrong, or meet: failed opens, removals while writing, other writers, folders taken away.

import test from "ava";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { mounted, python, servedSession, SERVE_DIRECTORY, shell, type Mount } from "../helpers/mounted.ts";

const HOUR_MS = 3_600_000;
const MIB = 1 << 20;
const REST_MS = 400;

const readServed = (mount: Mount, name: string): Promise<string> => fs.readFile(mount.served(name), "utf8");
const copiesOf = async (mount: Mount): Promise<number> =>
  (await fs.readdir(path.join(mount.stateDirectory, "copies"))).length;

/** Forgets what the kernel holds of a file that this process has open. */
function dropPages(file: fs.FileHandle): void {
  const program = `import os; os.posix_fadvise(os.open("/proc/${process.pid}/fd/${file.fd}", os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)`;
  execFileSync("/usr/bin/python3", ["-c", program]);
}

async function readAll(file: fs.FileHandle, size: number): Promise<Buffer> {
  dropPages(file);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes;
}

test.serial("a version that readers still have is nobody else's to write to", async (t) => {
  const { mount } = await servedSession(t);
  const size = 12 * MIB;
  const old = Buffer.alloc(size, "o");
  await fs.writeFile(mount.path("page"), old);
  await delay(REST_MS);
  const reader = await fs.open(mount.served("page"));
  t.teardown(() => reader.close());
  const unsaved = await fs.open(mount.path("tmp"), "w");
  await unsaved.write("unsaved");
  await fs.rename(mount.path("tmp"), mount.path("page"));
  await delay(REST_MS);
  await fs.rm(mount.path("page"));
  await unsaved.close();
  await t.throwsAsync(
    fs.stat(mount.path("page")),
    { code: "ENOENT" },
    "removed, and what it had replaced too",
  );
  await t.throwsAsync(readServed(mount, "page"), { code: "ENOENT" });
  await fs.writeFile(mount.path("page"), old);
  const editor = await fs.open(mount.path("page"), "r+");
  await editor.write(Buffer.alloc(MIB, "X"), 0, MIB, 6 * MIB);
  t.true((await readAll(reader, size)).equals(old));
  await editor.close();
  t.true((await readAll(reader, size)).equals(old));
});

test.serial("an unsaved file that took a name and moved on has taken away what was there", async (t) => {
  const { server, mount } = await servedSession(t);
  await fs.writeFile(mount.path("x"), "old");
  const unsaved = await fs.open(mount.path("tmp"), "w");
  await unsaved.write("new");
  await fs.rename(mount.path("tmp"), mount.path("x"));
  t.is(await readServed(mount, "x"), "old", "until the first upload the bucket has the old one");
  await fs.rename(mount.path("x"), mount.path("y"));
  await t.throwsAsync(fs.stat(mount.path("x")), { code: "ENOENT" });
  await unsaved.close();
  t.deepEqual(await server.names(), ["y"]);
  t.is(await readServed(mount, "y"), "new");
});

test.serial("an open that fails for want of space leaves the file as it was, on both faces", async (t) => {
  const { mount } = await servedSession(t);
  await fs.writeFile(mount.path("page"), "whole page");
  t.is(await readServed(mount, "page"), "whole page");
  await delay(REST_MS);
  const copies = path.join(mount.stateDirectory, "copies");
  // No new file can be made there, whoever tries: the folder becomes a small filesystem that has no inode left.
  const full = path.join(path.dirname(mount.stateDirectory), "full");
  await fs.mkdir(full);
  const files = (await fs.readdir(copies)).length;
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=1m,nr_inodes=${files + 1}`, "tmpfs", full]);
  execFileSync("cp", ["-a", `${copies}/.`, full]);
  execFileSync("mount", ["--bind", full, copies]);
  try {
    await t.throwsAsync(fs.writeFile(mount.path("page"), "new"), { code: "ENOSPC" });
    t.is(await fs.readFile(mount.path("page"), "utf8"), "whole page");
    t.is(await readServed(mount, "page"), "whole page");
  } finally {
    execFileSync("umount", ["-l", copies]);
    execFileSync("umount", ["-l", full]);
  }
});

test.serial(
  "what was removed or renamed over while it was being written leaves nothing behind",
  async (t) => {
    const { mount } = await servedSession(t);
    await python(
      mount,
      `
import os
for n in range(40):
    open("f", "wb").write(b"x" * 50_000)
    if n % 2: open("${mount.served("f")}", "rb").read()
    w = open("f", "wb" if n % 4 < 2 else "r+b"); w.write(b"y" * 1000); w.flush()
    if n % 3:
        os.unlink("f")
    else:
        open("g", "wb").write(b"z"); os.rename("g", "f")
    w.close()
    if os.path.exists("f"): os.unlink("f")`,
    );
    await delay(1500);
    t.is(await copiesOf(mount), 0);
  },
);

test.serial("who reads a version that is gone fails once; who asks again gets the new one", async (t) => {
  for (const options of [["--freshness", "60s"], ["--sole-writer"]]) {
    const { server, mount } = await servedSession(t, options);
    await server.put("f", "old and long");
    await server.age(HOUR_MS);
    await fs.stat(mount.served("f"));
    await server.put("f", "new");
    const answers: string[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1)
      answers.push(await readServed(mount, "f").catch((error: NodeJS.ErrnoException) => String(error.errno)));
    t.deepEqual(answers, ["-116", "new", "new"], options.join(" "));
  }
});

test.serial(
  "permissions taken away from a file that is being written are taken away from readers at once",
  async (t) => {
    const { server, mount } = await servedSession(t);
    await server.put("f", "secret");
    await server.age(HOUR_MS);
    const mode = async () => ((await fs.stat(mount.served("f"))).mode & 0o777).toString(8);
    t.is(await mode(), "666");
    const writer = await fs.open(mount.path("f"), "a");
    await fs.chmod(mount.path("f"), 0o600);
    t.is(await mode(), "600");
    await writer.close();
    await delay(1500); // patched into the bucket
    t.is(await mode(), "600");
    await fs.chmod(mount.path("f"), 0o640);
    const appender = await fs.open(mount.path("f"), "a");
    t.is(await mode(), "640");
    await appender.write(" more");
    await appender.close();
    t.is(await mode(), "640");
    t.is(await readServed(mount, "f"), "secret more");
  },
);

test.serial("a file that is read for the first time while it is being renamed is found", async (t) => {
  const { server, mount } = await servedSession(t);
  await server.age(0);
  for (let index = 0; index < 40; index += 1) await server.put(`f${index}`, `content ${index}`);
  await server.age(HOUR_MS);
  await server.latency(20);
  for (let index = 0; index < 40; index += 1) {
    const reader = await fs.open(mount.served(`f${index}`));
    const [, bytes] = await Promise.all([
      fs.rename(mount.path(`f${index}`), mount.path(`g${index}`)),
      delay(index % 30).then(() => reader.readFile("utf8")),
    ]);
    t.is(bytes, `content ${index}`);
    await reader.close();
  }
});

test.serial("what others do to a file that is open here is seen by the rule of trust", async (t) => {
  const { server, mount } = await servedSession(t, ["--freshness", "500ms"]);
  await server.put("f", "old");
  await server.age(HOUR_MS);
  const holder = await fs.open(mount.path("f"), "a");
  t.teardown(() => holder.close());
  t.is(await readServed(mount, "f"), "old");
  await server.put("f", "theirs");
  await delay(700);
  t.is(await readServed(mount, "f"), "theirs");
  await server.remove("f");
  await delay(700);
  await t.throwsAsync(readServed(mount, "f"), { code: "ENOENT" });
});

test.serial("a name that is made here and elsewhere shows what the bucket has", async (t) => {
  const { server, mount } = await servedSession(t);
  const made = await fs.open(mount.path("f"), "w");
  await made.write("ours");
  await t.throwsAsync(readServed(mount, "f"), { code: "ENOENT" });
  await server.put("f", "theirs");
  t.is(await readServed(mount, "f"), "theirs");
  await made.close(); // written as a whole: the last one wins
  t.is(await readServed(mount, "f"), "ours");
  await shell(mount, "ln -s f link; echo new > tmp");
  const unsaved = await fs.open(mount.path("other"), "w");
  await unsaved.write("file");
  await fs.rename(mount.path("other"), mount.path("link"));
  t.is(await fs.readlink(mount.served("link")), "f", "until the first upload the bucket has the link");
  await unsaved.close();
  t.is(await readServed(mount, "link"), "file");
});

test.serial("two folders that are one are refused, and nothing stays mounted", async (t) => {
  const { server } = await servedSession(t);
  const base = await fs.mkdtemp("/tmp/sidemount-one-");
  t.teardown(() => fs.rm(base, { recursive: true }));
  await fs.mkdir(path.join(base, "mnt"));
  await fs.symlink(path.join(base, "mnt"), path.join(base, "link"));
  const main = path.join(import.meta.dirname, "../../main.ts");
  const words = ["mount", "test", path.join(base, "mnt"), "--serve", path.join(base, "link")];
  const { status, stderr } = spawnSync(
    process.execPath,
    [main, ...words, "--endpoint", server.url, "--state-dir", path.join(base, "state")],
    { encoding: "utf8" },
  );
  t.is(status, 1);
  t.regex(stderr, /lies within .* or around it/);
  t.false((await fs.readFile("/proc/self/mounts", "utf8")).includes(base));
});

test.serial("a download for readers does not keep it from stopping", async (t) => {
  const { server, mount } = await servedSession(t);
  await server.put("large", Buffer.alloc(30 * MIB, "x"));
  await server.age(HOUR_MS);
  await server.faults({ method: "storage.objects.get", name: "large", action: "stall-for-20s-after-1024K" });
  const reader = await fs.open(mount.served("large"));
  await reader.read(Buffer.alloc(10), 0, 10, 0);
  const writer = await fs.open(mount.path("large"), "w"); // puts the version aside, which goes on being fetched
  await writer.close();
  await reader.close();
  const begin = performance.now();
  t.is(await mount.stop(), 0);
  t.true(performance.now() - begin < 6000, `${Math.round(performance.now() - begin)} ms`);
  t.false(mount.lines.some(({ message }) => String(message).includes("killed")));
});

test.serial("a folder for readers that somebody else has unmounted costs nothing any more", async (t) => {
  const { mount } = await servedSession(t);
  await fs.writeFile(mount.path("f"), "0");
  t.is(await readServed(mount, "f"), "0");
  execFileSync("umount", [mount.serveDirectory]);
  await python(mount, `\nfor n in range(50):\n    with open("f", "r+b") as f: f.write(b"%d" % n)`);
  await delay(1500);
  t.true((await copiesOf(mount)) <= 1);
  t.is(await fs.readFile(mount.path("f"), "utf8"), "49");
  t.is(await mount.stop(), 0);
});

test.serial(
  "RULES 15: renamed over within one second, a file of the same size has another time",
  async (t) => {
    const { server, mount } = await servedSession(t);
    const tags: string[] = [];
    for (const [index, content] of ["AAAA", "BBBB", "CCCCC", "DDDD", "EEEE"].entries()) {
      await fs.writeFile(mount.path("page.tmp"), content);
      if (index === 3) {
        await fs.rm(mount.path("page"));
        await fs.writeFile(mount.path("page"), content);
      } else await fs.rename(mount.path("page.tmp"), mount.path("page"));
      const [app, serve] = [await fs.stat(mount.path("page")), await fs.stat(mount.served("page"))];
      t.is(Math.floor(app.mtimeMs / 1000), Math.floor(serve.mtimeMs / 1000));
      tags.push(`${Math.floor(serve.mtimeMs / 1000)}-${serve.size}`);
    }
    t.is(new Set(tags).size, 5, tags.join(" "));
    await delay(1500);
    const again = await mounted(t, server, ["--serve", SERVE_DIRECTORY]);
    const { mtimeMs, size } = await fs.stat(again.served("page"));
    t.is(`${Math.floor(mtimeMs / 1000)}-${size}`, tags.at(-1) ?? "", "also on another machine");
  },
);

test.serial(
  "an edit right after a close is an edit: it does not replace what others wrote meanwhile",
  async (t) => {
    const { server, mount } = await servedSession(t);
    await fs.writeFile(mount.path("f"), "whole");
    const editor = await fs.open(mount.path("f"), "r+"); // at once: the file has not come to rest
    await editor.write("edit");
    await server.put("f", "theirs");
    await t.throwsAsync(editor.close(), { message: /-116|ESTALE/ });
    t.is((await server.get("f"))?.toString(), "theirs");
    t.is(await readServed(mount, "f"), "theirs");
  },
);
