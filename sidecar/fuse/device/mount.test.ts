// The channel on a real mount: a MemoryFileSystem served by another process.

import { execFile } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

import test from "ava";

import { memoryMount } from "../fixtures/memory-mount.ts";

const run = promisify(execFile);
const python = async (script: string, ...args: string[]) =>
  (await run("python3", ["-c", script, ...args])).stdout.trim();

for (const passthrough of ["off", "on"] as const) {
  const backed = passthrough === "on";
  const title = (sentence: string) => `passthrough ${passthrough}: ${sentence}`;

  test(title("what is written is read back, renamed, cut and removed"), async (t) => {
    const mount = await memoryMount(t, { passthrough, backed });
    t.is(mount.started.passthrough, backed);
    const file = mount.path("a.txt");
    await fs.writeFile(file, "hello");
    t.is(await fs.readFile(file, "utf8"), "hello");
    await fs.appendFile(file, " world");
    t.is(await fs.readFile(file, "utf8"), "hello world");
    await fs.truncate(file, 4);
    t.is(await fs.readFile(file, "utf8"), "hell");
    await fs.writeFile(file, "new");
    t.is(await fs.readFile(file, "utf8"), "new");
    await fs.rename(file, mount.path("b.txt"));
    await t.throwsAsync(fs.stat(file), { code: "ENOENT" });
    await fs.unlink(mount.path("b.txt"));
    t.deepEqual(await fs.readdir(mount.path()), []);
  });

  test(title("a megabyte-sized write arrives whole, and 64 MB from eight writers at once too"), async (t) => {
    const mount = await memoryMount(t, { passthrough, backed });
    const bytes = Buffer.alloc(8 << 20, "0123456789abcdef!");
    const names = Array.from({ length: 8 }, (_, index) => mount.path(`file-${index}`));
    await Promise.all(names.map((name) => fs.writeFile(name, bytes)));
    for (const name of names) t.true(bytes.equals(await fs.readFile(name)));
  });

  test(title("a file can be mapped and changed through the mapping"), async (t) => {
    const mount = await memoryMount(t, { passthrough, backed });
    await fs.writeFile(mount.path("mapped"), Buffer.alloc(10_000, "x"));
    await python(
      `import mmap, sys
with open(sys.argv[1], "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    assert m[9999:10000] == b"x"
    m[5000:5005] = b"HELLO"
    m.flush(); m.close()`,
      mount.path("mapped"),
    );
    t.is((await fs.readFile(mount.path("mapped"))).toString("latin1", 4999, 5006), "xHELLOx");
  });
}

test("more writers at once than there is memory for wait for one another, and every byte arrives", async (t) => {
  const mount = await memoryMount(t);
  const script = `for i in $(seq 90); do
  head -c 1048576 /dev/zero | tr "\\\\0" "\\\\$((i + 7))" | dd of="$0/slow-write-300-$i" bs=1M iflag=fullblock status=none &
done; wait`;
  await run("bash", ["-c", script, mount.path()]);
  const names = await fs.readdir(mount.path());
  t.is(names.length, 90);
  for (const name of names) {
    const bytes = await fs.readFile(mount.path(name));
    t.true(bytes.length === 1 << 20 && bytes.every((byte) => byte === bytes[0]), name);
  }
});

test("a folder of 3,000 names is listed whole, once each, with and without attributes", async (t) => {
  const mount = await memoryMount(t);
  const names = Array.from({ length: 3000 }, (_, index) => `name-${index}-${"x".repeat(index % 90)}`).sort();
  await Promise.all(names.map((name) => fs.writeFile(mount.path(name), "")));
  t.deepEqual((await fs.readdir(mount.path())).sort(), names);
  const { stdout } = await run("ls", ["-l", mount.path()], { maxBuffer: 1 << 22 });
  t.is(stdout.trim().split("\n").length, names.length + 1);
  const counts = (await mount.ask({ ask: "counts" })) as Record<string, number>;
  t.true((counts["READDIRPLUS"] ?? 0) > 0);
});

test("mode, owner, times, links and kinds are kept as they were given", async (t) => {
  const mount = await memoryMount(t);
  const file = mount.path("file");
  await fs.writeFile(file, "x", { mode: 0o600 });
  await fs.chown(file, 1234, 4321);
  await fs.chmod(file, 0o4751); // chown takes setuid away
  await run("touch", ["-d", "1969-07-20T20:17:40.123456789Z", file]);
  const { mode, uid, gid, mtimeNs } = await fs.stat(file, { bigint: true });
  t.deepEqual([mode, uid, gid], [0o104751n, 1234n, 4321n]);
  t.is(mtimeNs, -14182939_876543211n);
  await fs.symlink("somewhere/ünïcode", mount.path("link"));
  t.is(await fs.readlink(mount.path("link")), "somewhere/ünïcode");
  await run("mkfifo", ["-m", "640", mount.path("fifo")]);
  t.is((await fs.lstat(mount.path("fifo"))).mode, 0o010640);
  await fs.mkdir(mount.path("folder"), { mode: 0o750 });
  t.is((await fs.stat(mount.path("folder"))).mode, 0o040750);
  await fs.writeFile(mount.path("folder", "inside"), "");
  await t.throwsAsync(fs.rmdir(mount.path("folder")), { code: "ENOTEMPTY" });
  await t.throwsAsync(fs.link(file, mount.path("hard")), { code: "EPERM" });
  t.is((await fs.statfs(mount.path())).blocks, 1000);
});

test("the umask of the creating program is applied by the file system, once", async (t) => {
  const mount = await memoryMount(t);
  await run("sh", ["-c", `cd "$0" && umask 027 && touch file && mkdir folder && mkfifo fifo`, mount.path()]);
  const modeOf = async (name: string) => (await fs.stat(mount.path(name))).mode & 0o777;
  t.deepEqual([await modeOf("file"), await modeOf("folder"), await modeOf("fifo")], [0o640, 0o750, 0o640]);
});

test("rename can refuse to replace, and can exchange two names", async (t) => {
  const mount = await memoryMount(t);
  await fs.writeFile(mount.path("a"), "A");
  await fs.writeFile(mount.path("b"), "B");
  const script = `import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
result = libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), int(sys.argv[3]))
print(result, ctypes.get_errno())`;
  const [NOREPLACE, EXCHANGE, WHITEOUT] = ["1", "2", "4"];
  t.is(await python(script, mount.path("a"), mount.path("b"), NOREPLACE!), "-1 17");
  t.is(await python(script, mount.path("a"), mount.path("b"), EXCHANGE!), "0 0");
  t.is(await fs.readFile(mount.path("a"), "utf8"), "B");
  t.is(await python(script, mount.path("a"), mount.path("b"), WHITEOUT!), "-1 22");
});

test("extended attributes go both ways", async (t) => {
  const mount = await memoryMount(t);
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

test("what is not offered is refused as programs expect it", async (t) => {
  const mount = await memoryMount(t);
  await fs.writeFile(mount.path("file"), "x".repeat(100));
  const script = `import errno, fcntl, os, sys
def refusal(call):
    try: return call()
    except OSError as error: return errno.errorcode[error.errno]
fd = os.open(sys.argv[1], os.O_RDWR)
print(refusal(lambda: fcntl.ioctl(fd, 0x5401)), refusal(lambda: os.lseek(fd, 0, os.SEEK_HOLE)),
      refusal(lambda: os.open(os.path.dirname(sys.argv[1]), os.O_TMPFILE | os.O_RDWR)),
      refusal(lambda: os.posix_fallocate(fd, 0, 200)), os.fstat(fd).st_size,
      refusal(lambda: os.access(sys.argv[1], os.W_OK)))`;
  t.is(await python(script, mount.path("file")), "ENOTTY 100 ENOTSUP None 200 True");
});

test("a name that is not UTF-8 does not exist and cannot be created", async (t) => {
  const mount = await memoryMount(t);
  const script = `import errno, os, sys
name = os.fsencode(sys.argv[1]) + b"/\\xff\\xfe"
for call in (lambda: os.stat(name), lambda: os.open(name, os.O_CREAT | os.O_WRONLY), lambda: os.mkdir(name)):
    try: print(call())
    except OSError as error: print(errno.errorcode[error.errno])`;
  t.is(await python(script, mount.path()), "ENOENT\nEILSEQ\nEILSEQ");
});

test("close reports the file system's error", async (t) => {
  const mount = await memoryMount(t);
  const file = await fs.open(mount.path("fail-flush"), "w");
  await file.write("x");
  await t.throwsAsync(file.close(), { message: /-116/ }); // ESTALE, for which libuv has no name
});

test("a child's locks exclude on this machine without asking us", async (t) => {
  const mount = await memoryMount(t);
  await fs.writeFile(mount.path("lock"), "");
  const script = `import fcntl, os, sys
a, b = (os.open(sys.argv[1], os.O_RDWR) for _ in "ab")
fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError: print("excluded")`;
  t.is(await python(script, mount.path("lock")), "excluded");
});

test("look-ups are counted as the kernel counts them: all are given back when it forgets", async (t) => {
  const mount = await memoryMount(t);
  const names = Array.from({ length: 200 }, (_, index) => `f${index}`);
  await Promise.all(names.map((name) => fs.writeFile(mount.path(name), "")));
  await run("ls", ["-l", mount.path()]);
  await run("rm", ["-rf", ...names.map((name) => mount.path(name))]);
  for (let tries = 0; tries < 100; tries++) {
    if (Object.keys((await mount.ask({ ask: "lookups" })) as object).length === 0) break;
    await delay(20);
  }
  t.deepEqual(await mount.ask({ ask: "lookups" }), {});
});

test("a changed name is looked up again after the kernel was told, and attributes are asked for again", async (t) => {
  const mount = await memoryMount(t, { validMs: 60_000 });
  await fs.writeFile(mount.path("name"), "");
  const counts = async () => (await mount.ask({ ask: "counts" })) as Record<string, number>;
  const { ino } = await fs.stat(mount.path("name"));
  const before = await counts();
  await fs.stat(mount.path("name"));
  t.deepEqual(await counts(), before);
  await mount.ask({ ask: "entryChanged", name: "name" });
  await fs.stat(mount.path("name"));
  t.is((await counts())["LOOKUP"], (before["LOOKUP"] ?? 0) + 1);
  const between = await counts();
  await mount.ask({ ask: "attributesChanged", inode: ino });
  await fs.stat(mount.path("name"));
  t.is((await counts())["GETATTR"], (between["GETATTR"] ?? 0) + 1);
  await mount.ask({ ask: "entryChanged", name: "unknown" });
  await mount.ask({ ask: "attributesChanged", inode: 999_999 });
});

test("RULES 27: entry notifications stuck behind slow look-ups end, and other look-ups go on", async (t) => {
  const mount = await memoryMount(t, { validMs: 60_000 });
  await fs.writeFile(mount.path("other"), "");
  const slow = Array.from({ length: 3 }, (_, index) =>
    fs.stat(mount.path(`slow-lookup-30000-${index}`)).catch(() => "absent"),
  );
  await delay(100);
  const start = performance.now();
  const told = Array.from({ length: 10 }, (_, index) =>
    mount.ask({ ask: "entryChanged", name: `slow-lookup-30000-${index}` }),
  );
  await Promise.all([...told, mount.ask({ ask: "entryChanged", name: "other" })]);
  const took = performance.now() - start;
  t.true(took < 5000, `notifications took ${took} ms`);
  await run("stat", [mount.path("other")]);
  t.true(performance.now() - start < 10_000);
  await mount.ask({ ask: "stop" });
  mount.process.kill("SIGKILL"); // the look-ups end with it
  await Promise.all(slow);
});

test("the mount can be removed while it is used, and its server ends", async (t) => {
  const mount = await memoryMount(t);
  const file = await fs.open(mount.path("open"), "w");
  const gone = once(mount.process, "exit");
  await mount.ask({ ask: "stop" });
  await run("umount", ["-l", mount.path()]);
  await file.close();
  await gone;
  t.pass();
});

test("passthrough that was asked for and cannot be had is refused with its reason", async (t) => {
  await t.throwsAsync(memoryMount(t, { passthrough: "on", backingFolder: "/proc" }), {
    message: /PassthroughUnavailable: passthrough cannot be had: /,
  });
  const mount = await memoryMount(t, { passthrough: "auto", backingFolder: "/proc" });
  t.false(mount.started.passthrough);
  t.truthy(mount.started.reasonNot);
});
