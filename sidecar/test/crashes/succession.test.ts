// Workers that hang, that cannot serve, and that are replaced.

import test, { type ExecutionContext } from "ava";
import { execFile, spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { BucketServer } from "../helpers/bucket-server.ts";
import { childrenOf, killIfThere, mounted, servedSession, session, type Mount } from "../helpers/mounted.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const DEVICE = ["--channel", "device"];

async function until(what: () => boolean, limitMs = 60_000): Promise<void> {
  for (const endMs = Date.now() + limitMs; !what(); await delay(10))
    if (Date.now() > endMs) throw new Error("it did not happen in time");
}

const said = (mount: Mount, message: string): Record<string, unknown>[] =>
  mount.lines.filter((line) => line["message"] === message);

/** A mount whose worker dies at a point whenever that is armed. */
async function frail(t: ExecutionContext): Promise<{ mount: Mount; arm: (point: string) => Promise<void> }> {
  const server = await BucketServer.start(t);
  const armed = path.join(server.directory, "fail-point");
  const mount = await mounted(t, server, DEVICE, { SIDEMOUNT_FAIL_POINT_FILE: armed });
  return { mount, arm: (point) => writeFile(armed, point) };
}

test("a worker that hangs is killed after ten seconds, and who waits is served by the next", async (t) => {
  t.timeout(120_000);
  const { mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content");
  process.kill(await mount.worker(), "SIGSTOP");
  const sinceMs = performance.now();
  await writeFile(mount.path("other"), "more"); // creates: nothing the kernel could answer by itself
  const waitedMs = performance.now() - sinceMs;
  t.true(waitedMs > 5000 && waitedMs < 40_000, `waited ${waitedMs} ms`);
  await until(() => said(mount, "the worker does not answer any more and is killed").length > 0);
  t.is(said(mount, "the worker does not answer any more and is killed").length, 1);
  t.is(await readFile(mount.path("other"), "utf8"), "more");
});

test("RULES 21: a request that kills workers is answered EIO, others are served", async (t) => {
  t.timeout(120_000);
  const { mount, arm } = await frail(t);
  await arm("before-insert 1 3");
  const made = mkdir(mount.path("deadly")).catch((error: NodeJS.ErrnoException) => error.code);
  t.is(await made, "EIO");
  await until(() => said(mount, "a request has cost three workers their lives and is refused").length > 0);
  t.is(said(mount, "a request has cost three workers their lives and is refused").length, 1);
  await mkdir(mount.path("harmless"));
  t.true((await stat(mount.path("harmless"))).isDirectory());
});

test("RULES 21: workers that keep dying before they serve end the mount; nobody hangs", async (t) => {
  t.timeout(180_000);
  const { mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content");
  const reading = readFile(mount.path("file")).catch((error: NodeJS.ErrnoException) => error.code);
  t.is(await mount.loseWorkers(), 1);
  await until(() => said(mount, "workers keep dying before they serve").length > 0);
  t.is(said(mount, "workers keep dying before they serve").length, 1);
  const answer = await reading;
  t.true(answer !== undefined, "it was answered");
});

test("RULES 20: the worker is replaced by the code on disk without a failed operation", async (t) => {
  t.timeout(120_000);
  const { mount } = await session(t, DEVICE);
  const before = await mount.worker();
  let stopped = false;
  let written = 0;
  const writing = (async () => {
    for (; !stopped; written += 1) await writeFile(mount.path(`file-${written % 10}`), String(written));
  })();
  await delay(300);
  const { stdout } = await run(process.execPath, [MAIN, "upgrade", mount.directory]);
  await delay(300);
  stopped = true;
  await writing;
  const now = await mount.worker();
  t.not(now, before);
  t.is(stdout.trim(), `${mount.directory} is served by process ${now} in place of ${before}.`);
  t.false(existsSync(`/proc/${before}`));
  t.true(written > 0);
  const last = (written - 1) % 10;
  t.is(await readFile(mount.path(`file-${last}`), "utf8"), String(written - 1));
});

test("a worker takes over while the bucket is away", async (t) => {
  t.timeout(120_000);
  const { server, mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content");
  const file = await open(mount.path("file"), "r+");
  // If this fails half-way: what Node closes by itself when the mount is gone is an exception, and ends all tests here.
  t.teardown(() => file.close().catch(() => undefined));
  await writeFile(mount.path("removed"), Buffer.alloc(100));
  await run("chmod", ["600", mount.path("removed")]); // owed for a second
  await server.faults({ method: "*", action: "return-503" });
  process.kill(await mount.worker(), "SIGKILL");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(10), 0, 10, 0);
  t.is(buffer.toString("utf8", 0, bytesRead), "content");
  await until(() => said(mount, "another worker serves").length === 1);
  await file.write("changed", 0);
  await server.clearFaults();
  await file.close();
  t.is((await server.get("file"))?.toString(), "changed");
  for (const endMs = Date.now() + 30_000; Date.now() < endMs; await delay(200))
    if ((await server.stat("removed"))?.metadata?.["goog-reserved-posix-mode"] === "600") break;
  t.is((await server.stat("removed"))?.metadata?.["goog-reserved-posix-mode"], "600");
});

test("RULES 26: what children close is left to the opener also after another worker has taken over", async (t) => {
  const { server, mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content");
  const opener = python(
    t,
    `import subprocess, sys, time
f = open("${mount.path("file")}", "r+"); print("open", flush=True); sys.stdin.readline()
f.write("changed"); f.flush(); since = time.monotonic(); subprocess.run(["true"], stdout=f)
print(time.monotonic() - since, flush=True); sys.stdin.readline()
f.close()`,
  );
  await once(opener.stdout, "data");
  process.kill(await mount.worker(), "SIGKILL");
  await until(() => said(mount, "another worker serves").length === 1);
  await server.faults({ method: "*", action: "return-503" });
  opener.stdin.write("\n");
  const [waited] = (await once(opener.stdout, "data")) as [Buffer];
  t.true(Number(waited) < 10, `the child's end took ${String(waited)} s`); // 25 are given to the bucket
  await server.clearFaults();
  opener.stdin.end();
  t.deepEqual(await once(opener, "exit"), [0, null]);
  t.is((await server.get("file"))?.toString(), "changed");
});

test("RULES 1: what a mapping stores after its close is looked for also by a worker that has taken over", async (t) => {
  const { server, mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content".padEnd(4096, "."));
  const program = python(
    t,
    `import ctypes, os, sys
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
f = os.open("${mount.path("file")}", os.O_RDWR); reader = os.open("${mount.path("file")}", os.O_RDONLY)
address = libc.mmap(None, 4096, 3, 1, f, ctypes.c_long(0)); os.close(f)
print("closed", flush=True); sys.stdin.readline()
ctypes.memmove(address, b"changed", 7); sys.stdin.readline()`,
  );
  await once(program.stdout, "data");
  process.kill(await mount.worker(), "SIGKILL");
  await until(() => said(mount, "another worker serves").length === 1);
  program.stdin.write("\n");
  const stored = async (): Promise<string | undefined> => (await server.get("file"))?.toString("utf8", 0, 7);
  for (const endMs = Date.now() + 10_000; Date.now() < endMs && (await stored()) !== "changed";)
    await delay(100);
  t.is(await stored(), "changed");
  program.stdin.end();
  t.deepEqual(await once(program, "exit"), [0, null]);
});

test("a mount that is told to stop as soon as it is there ends in good order", async (t) => {
  t.timeout(120_000);
  const { mount } = await session(t, DEVICE);
  for (let round = 0; round < 20; round += 1) {
    const code = await mount.stop();
    // Or it had not yet said that it is ready: then it ends as by the signal.
    t.true(code === 0 || code === 128 + constants.signals.SIGTERM, `round ${round}: ${code}`);
    await mount.start(DEVICE);
  }
});

/** A mount with a notification in the kernel that waits for a folder's lock, which a look-up holds that nobody answers. */
async function stuckNotification(
  t: ExecutionContext,
): Promise<{ server: BucketServer; mount: Mount; looked: Promise<unknown> }> {
  const { server, mount } = await servedSession(t, DEVICE);
  const supervisor = mount.child;
  t.teardown(() => void supervisor.kill("SIGCONT")); // if this fails half-way: a stopped one cannot be told to end
  for (const name of ["page", "other"]) await server.put(name, "old");
  t.is(await readFile(mount.served("page"), "utf8"), "old");
  t.is(await readFile(mount.path("page"), "utf8"), "old");
  supervisor.kill("SIGSTOP"); // the notification goes to the kernel behind the look-up
  await writeFile(mount.path("page"), "new");
  await server.faults({ method: "storage.objects.list", action: "stall-for-60s" });
  const looked = stat(mount.served("none")).catch((error: NodeJS.ErrnoException) => error.code);
  await delay(500);
  supervisor.kill("SIGCONT");
  for (const endMs = Date.now() + 10_000; !(await waitsForLock(supervisor.pid ?? 0)); await delay(20))
    if (Date.now() > endMs) throw new Error("no notification got stuck: this tests nothing");
  return { server, mount, looked };
}

test("RULES 27: a notification that waits for a folder's lock does not keep the next worker from serving", async (t) => {
  t.timeout(120_000);
  const { server, mount, looked } = await stuckNotification(t);
  process.kill(await mount.worker(), "SIGKILL");
  await server.clearFaults();
  t.is(await Promise.race([readFile(mount.path("page"), "utf8"), delay(20_000, "no answer")]), "new");
  t.is(await looked, "ENOENT");
  t.is(await readFile(mount.served("page"), "utf8"), "new");
});

for (const [how, apartMs] of [
  ["all of a mount is killed at once", 0],
  ["first the supervisor is killed and then the worker", 500],
] as const)
  test(`RULES 27: nor does it keep anybody waiting when ${how}`, async (t) => {
    t.timeout(120_000);
    const { mount, looked } = await stuckNotification(t);
    const supervisor = mount.child;
    const ended = once(supervisor, "exit");
    const all = [supervisor.pid ?? 0, ...(await childrenOf(supervisor.pid ?? 0))];
    if (apartMs === 0) for (const pid of all) process.kill(pid, "SIGSTOP"); // none sees another one end
    for (const pid of all) {
      killIfThere(pid);
      if (pid === supervisor.pid) await delay(apartMs);
    }
    const outcome = await Promise.race([looked, delay(20_000, "no answer")]);
    if (outcome === "no answer") await run("umount", ["-f", "-l", mount.serveDirectory]); // else it is for ever
    t.is(outcome, "ECONNABORTED");
    t.is(await Promise.race([ended.then(() => "gone"), delay(20_000, "not gone")]), "gone");
  });

test("RULES 27: the thread that notifies has the devices and no other files, and is given no signals", async (t) => {
  const { mount } = await servedSession(t, DEVICE);
  const threads = `/proc/${mount.child.pid}/task`;
  const filesOf = async (thread: string): Promise<string[]> => {
    const folder = path.join(threads, thread, "fd");
    const links = (await readdir(folder)).map((name) => readlink(path.join(folder, name)).catch(() => ""));
    return (await Promise.all(links)).filter((link) => !link.startsWith("anon_inode:"));
  };
  let found: string | undefined;
  for (const endMs = Date.now() + 20_000; found === undefined && Date.now() < endMs; await delay(50))
    for (const thread of await readdir(threads))
      if ((await filesOf(thread)).join() === "/dev/fuse,/dev/fuse") found = thread;
  if (found === undefined) return t.fail("there is none");
  const status = await readFile(path.join(threads, found, "status"), "utf8");
  const blocked = BigInt(`0x${/^SigBlk:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  for (const signal of ["SIGTERM", "SIGCHLD", "SIGHUP"] as const)
    t.true((blocked & (1n << BigInt(constants.signals[signal] - 1))) !== 0n, signal);
});

test("locks are held while the worker is replaced", async (t) => {
  const { mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content");
  const lock = (then: string): string =>
    `import fcntl, sys; f = open("${mount.path("file")}", "r+"); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); ${then}`;
  const holder = python(t, lock("print('held', flush=True); sys.stdin.read()"));
  await once(holder.stdout, "data");
  process.kill(await mount.worker(), "SIGKILL");
  await t.throwsAsync(run("/usr/bin/python3", ["-c", lock("pass")]), { message: /BlockingIOError/ });
  holder.stdin.end();
  await once(holder, "exit");
  await run("/usr/bin/python3", ["-c", lock("pass")]);
  t.pass();
});

test("what handover.db holds goes away with the mount", async (t) => {
  const { mount } = await session(t, DEVICE);
  await writeFile(mount.path("file"), "content");
  const database = await databaseOf(mount);
  t.true(existsSync(database), database);
  t.is(await mount.stop(), 0);
  t.false(existsSync(database));
});

/** Starts a program that lasts until the test ends. */
function python(t: ExecutionContext, program: string): ChildProcessByStdio<Writable, Readable, null> {
  const child = spawn("/usr/bin/python3", ["-c", program], { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  return child;
}

/** Whether one of its threads waits in the kernel where no signal reaches it. */
async function waitsForLock(pid: number): Promise<boolean> {
  const { stdout } = await run("bash", ["-c", `cat /proc/${pid}/task/*/status | grep "^State:"`]);
  return /^State:\s+D/m.test(stdout);
}

/** By the descriptors of the worker. */
async function databaseOf(mount: Mount): Promise<string> {
  const { stdout } = await run("bash", [
    "-c",
    `readlink /proc/${await mount.worker()}/fd/* | grep handover.db | head -1`,
  ]);
  return stdout.trim().replace(/-wal$/, "");
}
