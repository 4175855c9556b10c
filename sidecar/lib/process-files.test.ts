import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";

import test, { type ExecutionContext } from "ava";

import { findWaitingWriter, hasDescriptorOf } from "./process-files.ts";

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
  const pid = child.pid ?? 0;
  while (fs.readFileSync(`/proc/${pid}/wchan`, "latin1") === "0") await new Promise(setImmediate);
  return { pid, device, inode: ino, waitsIn: new RegExp(fs.readFileSync(`/proc/${pid}/wchan`, "latin1")) };
}

test("a process is found by where it waits and what it has open for writing", async (t) => {
  const { pid, device, inode, waitsIn } = await opened(t, ">>");
  t.is(await findWaitingWriter(waitsIn, device, inode), pid);
  t.is(await findWaitingWriter(waitsIn, "0:999999", inode), undefined);
  t.is(await findWaitingWriter(/nowhere/, device, inode), undefined);
});

test("one that only reads the file is not its writer", async (t) => {
  const { device, inode, waitsIn } = await opened(t, "<");
  t.is(await findWaitingWriter(waitsIn, device, inode), undefined);
});

test("whether a process has a file of a FUSE mount is not guessed", async (t) => {
  const { pid, inode } = await opened(t, ">>");
  t.false(await hasDescriptorOf(pid, inode), "it is no FUSE mount");
  t.false(await hasDescriptorOf(0, inode));
});
