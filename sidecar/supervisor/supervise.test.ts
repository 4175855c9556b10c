// Supervisor and worker as real processes on a real mount point.

import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

import test, { type ExecutionContext } from "ava";

import { mountFileSystem } from "../lib/system-calls.ts";
import { SOON_MS, startFixture, temporaryFolder, typesAt, until, type Settings } from "./fixtures/start.ts";
import { mountsAt, OUR_TYPE } from "./mount-table.ts";
import { unmountDirectory } from "./unmount.ts";

const run = promisify(execFile);

const start = (t: ExecutionContext, directory: string, settings: Settings = {}) =>
  startFixture(t, "supervisor.ts", directory, settings);

test("a supervised mount serves files, shows what it is, and ends in good order on SIGTERM", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit } = start(t, directory);
  await ready;
  t.deepEqual(typesAt(directory), ["tmpfs", "fuse.sidemount"]);
  t.is(mountsAt(directory)[1]?.source, "sidemount:photos/2024");
  await writeFile(path.join(directory, "file"), "content");
  t.is(await readFile(path.join(directory, "file"), "utf8"), "content");
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
  t.deepEqual(await readdir(directory), []);
});

test("RULES 31: below the mount lies a folder that refuses writes, until the worker has ended", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit } = start(t, directory, { exitAfterMs: 700 });
  await ready;
  supervisor.kill("SIGTERM");
  await until(() => typesAt(directory).length === 1);
  await t.throwsAsync(writeFile(path.join(directory, "late"), "x"), { code: "EROFS" });
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
});

test("what is still owed at the end makes exit code 75", async (t) => {
  const { supervisor, ready, exit } = start(t, temporaryFolder(t), { owed: 2 });
  await ready;
  supervisor.kill("SIGTERM");
  t.is(await exit, 75);
});

test("a second signal hurries a slow drain", async (t) => {
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

test("a mount in use is taken from its users", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit } = start(t, directory);
  await ready;
  const user = spawn("sleep", ["60"], { cwd: directory });
  t.teardown(() => user.kill("SIGKILL"));
  await once(user, "spawn");
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
});

test("signals for the whole group are left to the supervisor", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit, workerPid } = start(t, directory);
  await ready;
  process.kill(workerPid(), "SIGINT");
  process.kill(workerPid(), "SIGTERM");
  await delay(100);
  t.true((await stat(directory)).isDirectory());
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
});

test("RULES 31: a worker that dies ends the mount with exit code 1; nobody hangs, and nobody writes into the folder below", async (t) => {
  const directory = temporaryFolder(t);
  const { ready, exit, workerPid } = start(t, directory);
  await ready;
  await writeFile(path.join(directory, "slow-read-20000"), "x");
  const reader = run("cat", [path.join(directory, "slow-read-20000")]);
  await delay(200);
  process.kill(workerPid(), "SIGKILL");
  await t.throwsAsync(reader, { message: /not connected|aborted|Input\/output|No such device/ });
  t.is(await exit, 1);
  t.deepEqual(typesAt(directory), ["tmpfs"]);
  await t.throwsAsync(writeFile(path.join(directory, "lost"), "x"), { code: "EROFS" });
  // Who is not root is not told either that a file which the bucket has does not exist.
  const other = ["--reuid", "65534", "--clear-groups", "--", "cat", path.join(directory, "file")];
  await t.throwsAsync(run("setpriv", other), { message: /Permission denied/ });
  await unmountDirectory(directory);
  t.deepEqual(mountsAt(directory), []);
});

test("when the supervisor is killed the worker takes the mount away, by whatever path it was named", async (t) => {
  const directory = temporaryFolder(t);
  const link = path.join(temporaryFolder(t), "link");
  fs.symlinkSync(directory, link);
  const { supervisor, ready, workerPid } = start(t, link);
  await ready;
  t.is(typesAt(directory).length, 2);
  const worker = workerPid();
  supervisor.kill("SIGKILL");
  await until(() => mountsAt(directory).length === 0 && !fs.existsSync(`/proc/${worker}`));
  t.pass();
});

test("what a killed supervisor and worker left is removed by the next start, which says so", async (t) => {
  const directory = temporaryFolder(t);
  const first = start(t, directory);
  await first.ready;
  const worker = first.workerPid();
  process.kill(worker, "SIGSTOP"); // so that it cannot clean up
  first.supervisor.kill("SIGKILL");
  await first.exit;
  process.kill(worker, "SIGKILL");
  await until(() => !fs.existsSync(`/proc/${worker}`));
  t.deepEqual(typesAt(directory), ["tmpfs", "fuse.sidemount"]);
  await t.throwsAsync(stat(directory), { code: "ENOTCONN" });

  const second = start(t, directory);
  await second.ready;
  t.regex(second.log(), /a dead mount was left here and is removed/);
  t.deepEqual(typesAt(directory), ["tmpfs", "fuse.sidemount"]);
  second.supervisor.kill("SIGTERM");
  t.is(await second.exit, 0);
});

test("`sidemount unmount` stops the process that serves the folder, or removes what a dead one left", async (t) => {
  const directory = temporaryFolder(t);
  const { ready, exit } = start(t, directory);
  await ready;
  await unmountDirectory(directory);
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
  await t.throwsAsync(unmountDirectory(directory), {
    name: "MountRefused",
    message: /nothing is mounted at/,
  });

  spawnSync("mount", ["-t", "tmpfs", "something", directory]);
  await t.throwsAsync(unmountDirectory(directory), {
    name: "MountRefused",
    message: /is not ours to unmount/,
  });
  t.is(typesAt(directory).length, 1);
});

test("a mount point that is missing, a file, in use or mounted is refused, each in one sentence", async (t) => {
  const parent = temporaryFolder(t);
  const attempt = async (name: string, message: RegExp) => {
    const { ready, exit } = start(t, path.join(parent, name));
    const error: unknown = await ready.catch((reason: unknown) => reason);
    t.like(error, { refused: "MountRefused" });
    t.regex((error as Error).message, message);
    t.truthy((error as { remedy?: string }).remedy);
    t.is(await exit, 1);
  };
  fs.writeFileSync(path.join(parent, "file"), "");
  fs.mkdirSync(path.join(parent, "full"));
  fs.writeFileSync(path.join(parent, "full", "one"), "");
  fs.mkdirSync(path.join(parent, "other"));
  fs.symlinkSync("circle", path.join(parent, "circle"));
  spawnSync("mount", ["-t", "tmpfs", "something", path.join(parent, "other")]);
  t.teardown(() => spawnSync("umount", ["-l", path.join(parent, "other")]));
  await Promise.all([
    attempt("missing", /missing does not exist/),
    attempt("missing/below", /below does not exist/),
    attempt("file", /file is not a folder/),
    attempt("full", /full is not empty; mounting there would hide "one"/),
    attempt("other", /other is already a mount point \(tmpfs from something\)/),
    attempt("circle", /leads in a circle/),
  ]);
});

test("a mount that does not answer is refused instead of waited for", async (t) => {
  const directory = temporaryFolder(t);
  const device = fs.openSync("/dev/fuse", "r+");
  t.teardown(() => fs.closeSync(device)); // nobody has ever read from it
  const data = `fd=${device},rootmode=40000,user_id=0,group_id=0`;
  mountFileSystem("sidemount:stuck", directory, OUR_TYPE, 0, data);
  const { ready, exit } = start(t, directory);
  await t.throwsAsync(ready, { message: `${directory} is a mount that does not answer (sidemount:stuck)` });
  t.is(await exit, 1);
});

test("a folder that is already served is refused with the process that serves it", async (t) => {
  const directory = temporaryFolder(t);
  const link = path.join(temporaryFolder(t), "link");
  fs.symlinkSync(directory, link);
  const first = start(t, directory);
  await first.ready;
  const second = start(t, link);
  await t.throwsAsync(second.ready, {
    message: `${directory} is already mounted by process ${first.supervisor.pid}`,
  });
  t.is(await second.exit, 1);
  t.true((await stat(directory)).isDirectory());
  first.supervisor.kill("SIGTERM");
  t.is(await first.exit, 0);
});

test("a worker that cannot serve ends the start with its reason and exit code, and nothing is mounted", async (t) => {
  const directory = temporaryFolder(t);
  const { ready, exit } = start(t, directory, { failAtStart: true });
  const error: unknown = await ready.catch((reason: unknown) => reason);
  t.like(error, { refused: "WorkerFailed", message: "the bucket does not exist", remedy: "Create it." });
  t.is(await exit, 3);
  t.deepEqual(mountsAt(directory), []);
});

test("a start can be stopped before it is ready", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, exit, log } = start(t, directory, { neverReady: true });
  await until(() => log().includes("told to start"), SOON_MS);
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
  t.deepEqual(mountsAt(directory), []);
});

test("a read-only mount refuses writes", async (t) => {
  const directory = temporaryFolder(t);
  const { supervisor, ready, exit } = start(t, directory, { options: { readOnly: true, prefix: "" } });
  await ready;
  t.is(mountsAt(directory)[1]?.source, "sidemount:photos");
  await t.throwsAsync(writeFile(path.join(directory, "file"), "x"), { code: "EROFS" });
  supervisor.kill("SIGTERM");
  t.is(await exit, 0);
});
