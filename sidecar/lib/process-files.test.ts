import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";

import test, { type ExecutionContext } from "ava";

import { findWriter, hasWritableOnFuse, processes, threadGroupOf } from "./process-files.ts";

/** A file on a file system whose device number stat(2) and mountinfo agree about, and a process that has it open. */
async function opened(t: ExecutionContext, redirection: string) {
  const folder = fs.mkdtempSync("/dev/shm/sidemount-process-files-");
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "file");
  fs.writeFileSync(file, "x");
  const child = spawn("sh", ["-c", `exec 3${redirection}"$0"; echo open; read line`, file], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  const { dev, ino } = fs.statSync(file);
  // makedev(3)
  const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  return { pid: child.pid ?? 0, device, inode: ino };
}

test("a process that has a file open for writing is found by the file's numbers", async (t) => {
  const { pid, device, inode } = await opened(t, ">>");
  const age = (await processes()).indexOf(pid);
  t.true(age >= 0 && age < 100, `the youngest come first, it is number ${age}`);
  t.is(await findWriter(device, inode, [1, pid]), pid);
  t.is(await findWriter(device, inode, [1]), undefined);
  t.is(await findWriter("0:999999", inode, [pid]), undefined);
});

test("one that only reads it is not a writer", async (t) => {
  const { pid, device, inode } = await opened(t, "<");
  t.is(await findWriter(device, inode, [pid]), undefined);
});

test("whether a process has a file of a FUSE mount is not guessed", async (t) => {
  const { pid, inode } = await opened(t, ">>");
  t.false(await hasWritableOnFuse(pid, inode), "it is no FUSE mount");
  t.false(await hasWritableOnFuse(0, inode));
});

test("the process of a thread is known, and of one that is gone it is not", async (t) => {
  const [other] = fs.readdirSync("/proc/self/task").filter((thread) => Number(thread) !== process.pid);
  t.is(await threadGroupOf(Number(other)), process.pid);
  t.is(await threadGroupOf(process.pid), process.pid);
  t.is(await threadGroupOf(2 ** 22 + 1), undefined, "no thread has such a number");
});
