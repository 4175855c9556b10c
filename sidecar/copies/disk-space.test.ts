import test from "ava";
import fs from "node:fs";
import path from "node:path";
import { createLog } from "../telemetry/log.ts";
import { DiskFullError, DiskSpace, reserveOf } from "./disk-space.ts";
import { openStore, temporaryFolder } from "./folder.fixture.ts";

const GIB = 2 ** 30;

test("of a disk 5 % stay free, at most 512 MiB", (t) => {
  t.is(reserveOf(100 * GIB), 512 << 20);
  t.is(reserveOf(GIB), Math.floor(GIB * 0.05));
  t.is(reserveOf(0), 0);
});

test("what would use the reserve is asked for to be given back, and refused if it is not", async (t) => {
  const directory = await temporaryFolder(t);
  const asked: number[] = [];
  const space = new DiskSpace({
    directory,
    ballastPath: path.join(directory, "ballast"),
    release: (bytes) => Promise.resolve(void asked.push(bytes)),
    log: createLog("silent"),
  });
  const { freeBytes } = await space.look();
  t.false(space.scarce);
  t.deepEqual(asked, []);
  await space.require(1000);
  t.deepEqual(asked, [], "there is plenty");
  await t.throwsAsync(space.require(freeBytes + GIB), { instanceOf: DiskFullError, code: "ENOSPC" });
  t.is(asked.length, 1);
  t.true((asked[0] ?? 0) >= GIB);
  await space.require(1000);
  t.pass("one that is too large keeps no other from being written");
  await space.stop();
});

test("a ballast is set aside, and really takes its space", async (t) => {
  const directory = await temporaryFolder(t);
  const ballastPath = path.join(directory, "ballast");
  const release = (): Promise<void> => Promise.resolve();
  const space = new DiskSpace({ directory, ballastPath, release, log: createLog("silent") });
  await space.watch();
  t.is(fs.statSync(ballastPath).size, 16 << 20);
  t.true(fs.statSync(ballastPath).blocks * 512 >= 16 << 20);
  await space.stop();
});

test("a file lacks bytes from where a write failed, until they are written after all or cut off", async (t) => {
  const { store, close } = await openStore(await temporaryFolder(t));
  const copy = store.create("f");
  await copy.write(0, Buffer.from("0123456789"));
  await t.notThrowsAsync(store.refuseIfCutShort(copy));
  const failed = new Error("no room");
  t.is(copy.lacking(10, failed), failed);
  await t.throwsAsync(store.refuseIfCutShort(copy), { instanceOf: DiskFullError });
  await copy.write(12, Buffer.from("x"));
  await t.throwsAsync(store.refuseIfCutShort(copy), { instanceOf: DiskFullError }, "there is a hole");
  await copy.write(10, Buffer.from("xx"));
  await t.notThrowsAsync(store.refuseIfCutShort(copy));
  copy.lacking(5, failed);
  await copy.truncate(6);
  await t.throwsAsync(store.refuseIfCutShort(copy), { instanceOf: DiskFullError });
  await copy.truncate(5);
  await t.notThrowsAsync(store.refuseIfCutShort(copy));
  await close();
});
