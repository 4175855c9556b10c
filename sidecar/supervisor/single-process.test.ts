// One process that mounts and serves, on a real mount point.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import { startFixture, temporaryFolder, typesAt, until, type Settings } from "./fixtures/start.ts";
import { detachServed } from "./mount-stack.ts";
import { mountsAt } from "./mount-table.ts";
import { unmountDirectory } from "./unmount.ts";

const start = (t: ExecutionContext, directory: string, settings: Settings = {}) =>
  startFixture(t, "alone.ts", directory, settings);

test("one process mounts, serves, says so, and ends in good order on SIGTERM", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit, log } = start(t, directory);
  await ready;
  t.deepEqual(typesAt(directory), ["tmpfs", "fuse.sidemount"]);
  t.is(mountsAt(directory)[1]?.source, "sidemount:photos/2024");
  t.regex(log(), /one process does everything with this channel: if it ends, so does the mount/);
  await writeFile(path.join(directory, "file"), "content");
  t.is(await readFile(path.join(directory, "file"), "utf8"), "content");
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
  t.deepEqual(await readdir(directory), []);
});

test("a folder of PATH may lie in the mount: one process ends in good order all the same", async (t) => {
  const directory = temporaryFolder(t);
  t.teardown(() => detachServed(directory, { abort: true })); // frees who waits, should it fail
  const environment = { PATH: `${directory}:${directory}/bin:${process.env["PATH"]}` };
  const { supervisor, ready, exit } = start(t, directory, { environment });
  await ready;
  supervisor.kill("SIGTERM");
  t.is(await Promise.race([exit, delay(8000, "waits for itself")]), 0);
  t.deepEqual(mountsAt(directory), []);
});

test("RULES 31: below a mount of root's lies a folder that refuses writes, until everything is closed", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit } = start(t, directory, { exitAfterMs: 700 });
  await ready;
  supervisor.kill("SIGTERM");
  await until(() => typesAt(directory).length === 1);
  await t.throwsAsync(writeFile(path.join(directory, "late"), "x"), { code: "EROFS" });
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
});

test("what is still owed at the end of one process makes exit code 75", async (t) => {
  const { supervisor, ready, exit } = start(t, temporaryFolder(t), { owed: 2 });
  await ready;
  supervisor.kill("SIGTERM");
  t.is(await exit, 75);
});

test("a second signal hurries the slow drain of one process", async (t) => {
  const { supervisor, ready, exit } = start(t, temporaryFolder(t), { drainMs: 20_000 });
  await ready;
  supervisor.kill("SIGTERM");
  await delay(300);
  t.is(supervisor.exitCode, null);
  const since = performance.now();
  supervisor.kill("SIGINT");
  t.is(await exit, 0);
  t.true(performance.now() - since < 10_000);
});

test("a mount in use, with files open and reads under way, is taken from its users", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit, log } = start(t, directory);
  await ready;
  const user = spawn("sleep", ["60"], { cwd: directory });
  t.teardown(() => user.kill("SIGKILL"));
  await writeFile(path.join(directory, "slow-read-60000"), "x");
  const reader = spawn("cat", [path.join(directory, "slow-read-60000")], { stdio: "ignore" });
  const readerEnds = once(reader, "exit");
  const file = await open(path.join(directory, "open"), "w");
  await delay(300);
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
  await until(() => log().includes("programs still use the folder; it is taken from them"));
  t.deepEqual(mountsAt(directory), []);
  t.deepEqual(await readerEnds, [1, null], "nobody waits for an answer that will not come");
  await t.throwsAsync(file.write("late"));
  await file.close().catch(() => {});
});

test("RULES 31: when the one process is killed nobody can write into the folder below, and the next start cleans up", async (t) => {
  const directory = temporaryFolder(t);
  const first = start(t, directory);
  await first.ready;
  first.supervisor.kill("SIGKILL");
  await first.exit;
  t.deepEqual(typesAt(directory), ["tmpfs", "fuse.sidemount"]);
  await t.throwsAsync(writeFile(path.join(directory, "lost"), "x"), { code: "ENOTCONN" });
  const second = start(t, directory);
  await second.ready;
  t.regex(second.log(), /a dead mount was left here and is removed/);
  await unmountDirectory(directory);
  t.is(await second.exit, 0);
  t.deepEqual(mountsAt(directory), []);
});

test("a folder that one process serves is not taken twice", async (t) => {
  const directory = temporaryFolder(t);
  const first = start(t, directory);
  await first.ready;
  const second = start(t, directory);
  await t.throwsAsync(second.ready, {
    message: `${directory} is already mounted by process ${first.supervisor.pid}`,
  });
  t.is(await second.exit, 1);
});

test("a start that fails, or is stopped before it is ready, mounts nothing", async (t) => {
  const failing = temporaryFolder(t);
  const failed = start(t, failing, { failAtStart: true });
  await t.throwsAsync(failed.ready, { message: "the bucket does not exist" });
  t.is(await failed.exit, 1);
  const waiting = temporaryFolder(t);
  const stopped = start(t, waiting, { neverReady: true });
  await until(() => stopped.log().includes("told to start"));
  stopped.supervisor.kill("SIGTERM");
  t.is(await stopped.exit, 0);
  const full = temporaryFolder(t);
  fs.writeFileSync(path.join(full, "mine"), "");
  await t.throwsAsync(start(t, full).ready, { message: /is not empty; mounting there would hide "mine"/ });
  for (const directory of [failing, waiting, full]) t.deepEqual(mountsAt(directory), []);
});

test("a mount that cannot be made leaves nothing, not even the folder below", async (t) => {
  const names = Array.from({ length: 8 }, () => "x".repeat(150));
  const directory = path.join(temporaryFolder(t), ...names); // longer than libfuse's fields
  fs.mkdirSync(directory, { recursive: true });
  const { ready, exit, log } = start(t, directory);
  await t.throwsAsync(ready, { message: /too long for libfuse 2/ });
  t.is(await exit, 1);
  t.deepEqual(mountsAt(directory), []);
  t.notRegex(log(), /programs still use/);
});

test("what the kernel says against a mount of root's is told with its remedy, also for the folder below", async (t) => {
  const directory = temporaryFolder(t);
  const alone = start(t, directory, { loseFolder: true });
  const refused = await t.throwsAsync(alone.ready);
  t.like(refused, { refused: "MountRefused", message: `${directory} could not be mounted (ENOENT)` });
  t.is(await alone.exit, 1);
});

test("a mount that somebody else takes away ends the process, and nobody writes into the folder below", async (t) => {
  const directory = temporaryFolder(t);
  const { ready, exit, log } = start(t, directory);
  await ready;
  spawnSync("umount", [directory]);
  t.is(await exit, 1);
  await until(() => log().includes("the folder was unmounted by somebody else"));
  t.deepEqual(typesAt(directory), ["tmpfs"]);
  await t.throwsAsync(writeFile(path.join(directory, "lost"), "x"), { code: "EROFS" });
});

test("a read-only mount of one process refuses writes", async (t) => {
  const directory = temporaryFolder(t);
  const { ready } = start(t, directory, { options: { readOnly: true } });
  await ready;
  await t.throwsAsync(writeFile(path.join(directory, "file"), "x"), { code: "EROFS" });
});
