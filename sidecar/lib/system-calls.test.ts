import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import * as calls from "./system-calls.ts";

function folder(t: ExecutionContext): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "sidemount-calls-"));
  t.teardown(() => fs.rmSync(made, { recursive: true }));
  return made;
}

function open(t: ExecutionContext, file: string, flags: string): number {
  const descriptor = fs.openSync(file, flags);
  t.teardown(() => fs.closeSync(descriptor));
  return descriptor;
}

test("a failed call throws an error with the errno's name", async (t) => {
  const error = t.throws(() => calls.setNonBlocking(9999), { instanceOf: calls.SystemCallError });
  t.like(error, { code: "EBADF", errno: -9, syscall: "fcntl" });
  await t.throwsAsync(calls.unmountFileSystem("/nowhere", 0), { code: "ENOENT" });
});

test("a file can be locked once", (t) => {
  const file = path.join(folder(t), "lock");
  const first = fs.openSync(file, "a+");
  const second = open(t, file, "a+");
  t.true(calls.lockExclusively(first));
  t.false(calls.lockExclusively(second));
  fs.closeSync(first);
  t.true(calls.lockExclusively(second));
});

test("a read lease is refused while anyone can write to the file", (t) => {
  const file = path.join(folder(t), "leased");
  const writer = fs.openSync(file, "w+");
  const reader = open(t, file, "r");
  t.false(calls.tryReadLease(reader));
  fs.closeSync(writer);
  t.true(calls.tryReadLease(reader));
  fs.writeFileSync(file, "the lease was given back: this does not wait");
});

test("holes are found, made and counted", async (t) => {
  const file = open(t, path.join(folder(t), "sparse"), "w+");
  fs.writeSync(file, Buffer.alloc(65536, 1), 0, 65536, 1 << 20);
  t.is(await calls.seekData(file, 0), 1 << 20);
  t.is(await calls.seekHole(file, 1 << 20), (1 << 20) + 65536);
  t.is(await calls.seekData(file, 1 << 24), undefined);
  await calls.allocate(file, calls.FALLOCATE_PUNCH_HOLE | calls.FALLOCATE_KEEP_SIZE, 1 << 20, 65536);
  t.is(await calls.seekData(file, 0), undefined);
  t.is(fs.fstatSync(file).size, (1 << 20) + 65536);
  await calls.syncFileRange(file, 0, 0, calls.SYNC_RANGE_WRITE);
});

test("a readable descriptor is reported, promises go on right away, and reading nothing is no exception", async (t) => {
  const fifo = path.join(folder(t), "fifo");
  spawnSync("mkfifo", [fifo]);
  const descriptor = open(t, fifo, "r+");
  calls.setNonBlocking(descriptor);
  const buffer = Buffer.alloc(10);
  t.is(calls.readOrErrno(descriptor, buffer), -os.constants.errno.EAGAIN);
  const { promise, resolve } = Promise.withResolvers<number>();
  const watch = calls.watchReadable(descriptor, () => {
    const at = performance.now();
    calls.readOrErrno(descriptor, buffer);
    watch.close();
    void Promise.resolve().then(() => resolve(performance.now() - at));
  });
  await delay(20);
  fs.writeSync(descriptor, "x");
  t.true((await promise) < 50);
});
