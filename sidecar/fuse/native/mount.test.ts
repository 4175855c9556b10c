// The channel on a real mount: a MemoryFileSystem served through libfuse by another process.
//
// One test after another: a program that this process starts inherits its open files, and closes (FLUSH) all of them.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

import test, { type ExecutionContext } from "ava";

import { type MemoryMount, memoryMount } from "../fixtures/memory-mount.ts";

/** In the masks of /proc/PID/task/TID/status. */
const SIGCHLD_BIT = 1n << BigInt(constants.signals.SIGCHLD - 1);

const run = promisify(execFile);
const python = async (script: string, ...args: string[]) =>
  (await run("/usr/bin/python3", ["-c", script, ...args])).stdout.trim();

const nativeMount = (t: ExecutionContext, validMs = 0) => memoryMount(t, { channel: "native", validMs });

/** Every look-up that was counted is given back, at the latest when what is remembered has run out. */
async function allForgotten(mount: MemoryMount): Promise<unknown> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (Object.keys((await mount.ask({ ask: "lookups" })) as object).length === 0) break;
    await delay(20);
  }
  return mount.ask({ ask: "lookups" });
}

test.serial("what is written is read back, renamed, cut and removed", async (t) => {
  const mount = await nativeMount(t);
  const file = mount.path("a.txt");
  await fs.writeFile(file, "hello");
  await fs.appendFile(file, " world");
  t.is(await fs.readFile(file, "utf8"), "hello world");
  await fs.truncate(file, 4);
  t.is(await fs.readFile(file, "utf8"), "hell");
  await fs.rename(file, mount.path("b.txt"));
  await t.throwsAsync(fs.stat(file), { code: "ENOENT" });
  await fs.unlink(mount.path("b.txt"));
  t.deepEqual(await fs.readdir(mount.path()), []);
});

test.serial("64 MB from eight writers at once arrive whole", async (t) => {
  const mount = await nativeMount(t);
  const bytes = Buffer.alloc(8 << 20, "0123456789abcdef!");
  const names = Array.from({ length: 8 }, (_, index) => mount.path(`file-${index}`));
  await Promise.all(names.map((name) => fs.writeFile(name, bytes)));
  for (const name of names) t.true(bytes.equals(await fs.readFile(name)));
});

test.serial("positions beyond 4 GB arrive as they are", async (t) => {
  const mount = await nativeMount(t);
  await fs.writeFile(mount.path("large"), "");
  await fs.truncate(mount.path("large"), 1000);
  const script = `import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
print(os.lseek(fd, 0, 2), os.pread(fd, 10, 5 << 32), os.ftruncate(fd, 500), os.fstat(fd).st_size)`;
  t.is(await python(script, mount.path("large")), "1000 b'' None 500");
});

test.serial("mode, owner, times, links and kinds are kept, times to the millisecond", async (t) => {
  const mount = await nativeMount(t);
  const file = mount.path("file");
  await fs.writeFile(file, "x", { mode: 0o600 });
  await fs.chown(file, 1234, 4321);
  await fs.chmod(file, 0o4751); // chown takes setuid away
  await run("touch", ["-a", "-d", "2001-01-01T00:00:00.111999999Z", file]);
  await run("touch", ["-m", "-d", "2002-02-02T00:00:00.222999999Z", file]);
  const { mode, uid, gid, atimeNs, mtimeNs, ino } = await fs.stat(file, { bigint: true });
  t.deepEqual([mode, uid, gid], [0o104751n, 1234n, 4321n]);
  t.deepEqual([atimeNs, mtimeNs], [978_307_200_111_000_000n, 1_012_608_000_222_000_000n]);
  t.is(ino, 2n, "the inode of the file system");
  await run("touch", ["-a", file]);
  t.true((await fs.stat(file)).mtimeMs > 1_700_000_000_000, "CHANNELS: now for one time is now for both");
  await run("touch", ["-d", "1969-07-20T20:17:40Z", file]);
  t.is((await fs.stat(file)).mtimeMs, 0, "CHANNELS: what lies before 1970 shows as its beginning");
  await fs.symlink("somewhere/ünïcode", mount.path("link"));
  t.is(await fs.readlink(mount.path("link")), "somewhere/ünïcode");
  await run("mkfifo", ["-m", "640", mount.path("fifo")]);
  t.is((await fs.lstat(mount.path("fifo"))).mode, 0o010640);
  await fs.mkdir(mount.path("folder"), { mode: 0o750 });
  await fs.writeFile(mount.path("folder", "inside"), "");
  await t.throwsAsync(fs.rmdir(mount.path("folder")), { code: "ENOTEMPTY" });
  await t.throwsAsync(fs.link(file, mount.path("hard")), { code: "EPERM" });
  t.is((await fs.statfs(mount.path())).blocks, 1000);
});

test.serial("the umask of the creating program is applied once", async (t) => {
  const mount = await nativeMount(t);
  await run("sh", ["-c", `cd "$0" && umask 027 && touch file && mkdir folder && mkfifo fifo`, mount.path()]);
  const modeOf = async (name: string) => (await fs.stat(mount.path(name))).mode & 0o777;
  t.deepEqual([await modeOf("file"), await modeOf("folder"), await modeOf("fifo")], [0o640, 0o750, 0o640]);
});

test.serial("a folder of 3,000 names is listed whole, once each, with kinds and numbers", async (t) => {
  const mount = await nativeMount(t);
  const names = Array.from({ length: 3000 }, (_, index) => `name-${index}-${"x".repeat(index % 90)}`).sort();
  await Promise.all(names.map((name) => fs.writeFile(mount.path(name), "")));
  t.deepEqual((await fs.readdir(mount.path())).sort(), names);
  const script = `import os, sys
print(all(e.is_file(follow_symlinks=False) and e.inode() == os.lstat(e.path).st_ino for e in os.scandir(sys.argv[1])))`;
  t.is(await python(script, mount.path()), "True");
});

test.serial(
  "a name that is not UTF-8 does not exist and cannot be created; one that looks like it can",
  async (t) => {
    const mount = await nativeMount(t);
    const script = `import errno, os, sys
name = os.fsencode(sys.argv[1]) + b"/\\xff\\xfe"
for call in (lambda: os.stat(name), lambda: os.open(name, os.O_CREAT | os.O_WRONLY), lambda: os.mkdir(name), lambda: os.rename(sys.argv[1] + "/\\ufffd", name)):
    try: print(call())
    except OSError as error: print(errno.errorcode[error.errno])`;
    await fs.writeFile(mount.path("\ufffd"), "meant");
    t.is(await python(script, mount.path()), "ENOENT\nEILSEQ\nEILSEQ\nEILSEQ");
    t.is(await fs.readFile(mount.path("\ufffd"), "utf8"), "meant");
  },
);

test.serial("close reports the file system's error", async (t) => {
  const mount = await nativeMount(t);
  const file = await fs.open(mount.path("fail-flush"), "w");
  await file.write("x");
  await t.throwsAsync(file.close(), { message: /-116/ }); // ESTALE, for which libuv has no name
});

test.serial("both kinds of locks exclude on this machine without asking us", async (t) => {
  const mount = await nativeMount(t);
  await fs.writeFile(mount.path("lock"), "");
  const script = `import fcntl, os, sys
a, b = (os.open(sys.argv[1], os.O_RDWR) for _ in "ab")
fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError: print("flock")
fcntl.lockf(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
if os.fork() == 0:
    try: fcntl.lockf(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError: print("lockf", flush=True)
    os._exit(0)
os.wait()`;
  t.is(await python(script, mount.path("lock")), "flock\nlockf");
});

test.serial("extended attributes go both ways", async (t) => {
  const mount = await nativeMount(t);
  await fs.writeFile(mount.path("file"), "");
  const script = `import errno, os, sys
def refusal(call):
    try: return call()
    except OSError as error: return errno.errorcode[error.errno]
f = sys.argv[1]; value = bytes(range(256)) * 100
print(os.listxattr(f), refusal(lambda: os.getxattr(f, "user.a")), os.setxattr(f, "user.a", value), os.getxattr(f, "user.a") == value)
os.setxattr(f, "user.empty", b"", os.XATTR_CREATE); os.setxattr(f, "user.a", b"new", os.XATTR_REPLACE)
print(os.listxattr(f), os.getxattr(f, "user.a"), os.getxattr(f, "user.empty"), os.removexattr(f, "user.a"), os.listxattr(f))`;
  t.is(
    await python(script, mount.path("file")),
    "[] ENODATA None True\n['user.a', 'user.empty'] b'new' b'' None ['user.empty']",
  );
  const events = (await mount.ask({ ask: "events" })) as string[];
  t.deepEqual(
    events.filter((event) => event.startsWith("set ")),
    ["set user.a (any)", "set user.empty (create)", "set user.a (replace)"],
  );
});

test.serial("what is not offered is refused as programs expect it", async (t) => {
  const mount = await nativeMount(t);
  await fs.writeFile(mount.path("file"), "x".repeat(100));
  const script = `import errno, os, sys
def refusal(call):
    try: return call()
    except OSError as error: return errno.errorcode[error.errno]
fd = os.open(sys.argv[1], os.O_RDWR)
print(refusal(lambda: os.lseek(fd, 0, os.SEEK_DATA)), refusal(lambda: os.posix_fallocate(fd, 0, 200)), os.fstat(fd).st_size)`;
  t.is(await python(script, mount.path("file")), "0 None 200");
});

test.serial(
  "all look-ups are given back, also those of operations that fail and of folders that are remembered",
  async (t) => {
    const mount = await nativeMount(t, 300);
    await fs.mkdir(mount.path("a/b"), { recursive: true });
    const names = Array.from({ length: 200 }, (_, index) => mount.path("a", "b", `f${index}`));
    await Promise.all(names.map((name) => fs.writeFile(name, "")));
    await run("ls", ["-lR", mount.path()]);
    await Promise.all(names.map((name) => fs.stat(`${name}/below`).catch(() => {})));
    await fs.rename(mount.path("a/b"), mount.path("a/c"));
    await t.throwsAsync(fs.stat(mount.path("a/b/f1")), { code: "ENOENT" });
    await fs.rm(mount.path("a"), { recursive: true });
    await delay(350); // what was remembered of folders has run out…
    await fs.stat(mount.path("a")).catch(() => {}); // …and is dropped when it is looked for
    const left = (await allForgotten(mount)) as Record<string, number>;
    t.true(
      Object.values(left).every((count) => count <= 1),
      JSON.stringify(left),
    );
  },
);

test.serial("threads of libfuse that end leave nothing behind, and what comes after is served", async (t) => {
  const mount = await nativeMount(t);
  const script = `import os, sys, threading
os.chdir(sys.argv[1])
names = [f"slow-read-100-{i}" for i in range(60)]
for name in names: open(name, "w").write(name)
def read(name):
    with open(name) as f: assert f.read() == name
for times in range(5):
    threads = [threading.Thread(target=read, args=(name,)) for name in names]
    for thread in threads: thread.start()
    for thread in threads: thread.join()`;
  await python(script, mount.path());
  await delay(200);
  const threads = (await mount.ask({ ask: "threads" })) as number;
  t.true(threads > 0 && threads <= 12, `${threads} are known`); // ten idle ones stay
  t.is((await fs.readdir(mount.path())).length, 60);
});

test.serial(
  "files that are open when they are unlinked or replaced go on, and leave no name behind",
  async (t) => {
    const mount = await nativeMount(t);
    const script = `import os, sys
os.chdir(sys.argv[1])
f = open("t", "w+b", 0); f.write(b"abc"); os.unlink("t"); f.write(b"def"); f.seek(0)
print(f.read(), os.listdir("."), os.path.exists("t"))
open("x", "w").write("X"); open("y", "w").write("Y")
old = open("y", "r+"); os.replace("x", "y"); print(old.read(), open("y").read(), sorted(os.listdir(".")))
os.ftruncate(old.fileno(), 0); print(open("y").read())
g = open("z", "w"); os.unlink("z"); open("z", "w").write("new"); g.write("old"); g.close(); print(open("z").read())
os.mkdir("d"); h = open("d/f", "w"); os.unlink("d/f"); os.rmdir("d"); h.close(); old.close(); f.close()
print(sorted(os.listdir(".")))`;
    t.is(
      await python(script, mount.path()),
      ["b'abcdef' [] False", "Y X ['y']", "X", "new", "['y', 'z']"].join("\n"),
    );
    await delay(200);
    t.deepEqual((await fs.readdir(mount.path())).sort(), ["y", "z"]);
  },
);

test.serial("a folder can be renamed while files in it are open, hidden ones too", async (t) => {
  const mount = await nativeMount(t);
  const script = `import os, sys
os.chdir(sys.argv[1]); os.mkdir("d")
f = open("d/f", "w+b", 0); g = open("d/g", "w+b", 0); os.unlink("d/g"); os.rename("d", "e")
f.write(b"one"); g.write(b"two"); print(os.fstat(f.fileno()).st_size, os.fstat(g.fileno()).st_size)
f.close(); g.close(); print(os.listdir("e"))`;
  t.is(await python(script, mount.path()), "3 3\n['f']");
});

test.serial(
  "CHANNELS: a program that is killed while it waits for us is gone when the call has ended",
  async (t) => {
    const mount = await nativeMount(t);
    await fs.writeFile(mount.path("slow-read-3000"), "x");
    const reader = spawn("cat", [mount.path("slow-read-3000")], { stdio: "ignore" });
    while (!((await mount.ask({ ask: "events" })) as string[]).includes("slow read slow-read-3000"))
      await delay(10);
    const begun = performance.now();
    reader.kill("SIGKILL");
    await once(reader, "exit");
    t.true(performance.now() - begun > 1500, "libfuse does not pass interrupts on");
  },
);

test.serial("a program that the serving process starts does not get its /dev/fuse", async (t) => {
  const mount = await nativeMount(t);
  const inherited = (await mount.ask({ ask: "inherited" })) as string;
  t.regex(inherited, / 0 -> /, "they can be seen");
  t.notRegex(inherited, /fuse/);
});

test.serial(
  "libfuse's threads are given no signals, in whose handlers they could not be ended",
  async (t) => {
    const mount = await nativeMount(t);
    await fs.writeFile(mount.path("file"), "x");
    const tasks = `/proc/${mount.process.pid}/task`;
    const statuses = await Promise.all(
      (await fs.readdir(tasks)).map((id) => fs.readFile(`${tasks}/${id}/status`, "utf8")),
    );
    const field = (status: string, name: string) =>
      new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    const isMain = (status: string) => field(status, "Pid") === String(mount.process.pid);
    const main = statuses.find(isMain) ?? "";
    // They were made by the main thread, and have its name.
    const theirs = statuses.filter(
      (status) => !isMain(status) && field(status, "Name") === field(main, "Name"),
    );
    const blocksChildSignals = (status: string) =>
      (BigInt(`0x${field(status, "SigBlk")}`) & SIGCHLD_BIT) !== 0n;
    t.true(theirs.length >= 2);
    t.true(theirs.every(blocksChildSignals));
    t.false(blocksChildSignals(main));
  },
);

test.serial("a mount with files open is taken away from outside, and its process can end", async (t) => {
  const mount = await nativeMount(t);
  const file = await fs.open(mount.path("open"), "w");
  const reader = spawn("cat", [mount.path("slow-read-60000")], { stdio: "ignore" });
  await fs.writeFile(mount.path("slow-read-60000"), "x");
  await run("umount", ["-l", mount.path()]);
  const gone = once(mount.process, "exit");
  mount.process.disconnect();
  t.deepEqual(await gone, [0, null], "the addon's threads do not keep it");
  await file.close().catch(() => {});
  reader.kill("SIGKILL");
});
