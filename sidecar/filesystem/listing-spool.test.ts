// That a spooled listing gives every entry once, in any portions, and again from any position it told.

import { execFile } from "node:child_process";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { InodeId } from "./filesystem.ts";
import { ListingSpool, type SpooledEntry } from "./listing-spool.ts";

const run = promisify(execFile);
const asRoot = process.getuid?.() === 0 ? test : test.skip; // may mount a small disk
const PAGE = 700;

function entry(number: number): SpooledEntry {
  const name = `${number}-${"ä".repeat(number % 120)}`;
  return { name, inode: (2 ** 40 + number) as InodeId, kind: number % 7 === 0 ? "directory" : "file" };
}

/** A spool of `count` entries that come in pages; answers it and how many pages were asked for so far. */
async function spoolOf(
  t: ExecutionContext,
  count: number,
): Promise<{ spool: ListingSpool; pages: () => number }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "sidemount-spool-"));
  const file = await open(path.join(folder, "spool"), "wx+");
  let pages = 0;
  const spool = new ListingSpool(file, () => {
    const first = pages * PAGE;
    pages += 1;
    if (first >= count) return Promise.resolve(undefined);
    return Promise.resolve(Array.from({ length: Math.min(PAGE, count - first) }, (_, i) => entry(first + i)));
  });
  t.teardown(async () => {
    await spool.close();
    await rm(folder, { recursive: true });
  });
  return { spool, pages: () => pages };
}

test("every entry comes once and in order, and no page before it is needed", async (t) => {
  const { spool, pages } = await spoolOf(t, 5000);
  const seen: SpooledEntry[] = [];
  let position = 0;
  for (let before = -1; before < seen.length;) {
    before = seen.length;
    await spool.read(position, (found, next) => {
      if (seen.length >= before + 100) return false;
      seen.push(found);
      position = next;
      return true;
    });
    if (before === 0) t.is(pages(), 1);
  }
  t.deepEqual(
    seen,
    Array.from({ length: 5000 }, (_, i) => entry(i)),
  );
});

test("a reader may go back to any position it was told", async (t) => {
  const { spool } = await spoolOf(t, 3000);
  const positions = [0];
  await spool.read(0, (_, next) => positions.push(next) > 0);
  for (const number of [2999, 0, 1234, 699, 700]) {
    let found: SpooledEntry | undefined;
    await spool.read(positions[number] ?? -1, (first) => {
      found ??= first;
      return false;
    });
    t.deepEqual(found, entry(number));
  }
  await spool.read(
    positions[3000] ?? -1,
    () => t.fail("there is nothing behind the last one") as unknown as boolean,
  );
});

test("two readers at a time ask for each page once", async (t) => {
  const { spool, pages } = await spoolOf(t, 2000);
  const counts = [0, 0];
  await Promise.all(
    counts.map((_, reader) => spool.read(0, () => (counts[reader] = (counts[reader] ?? 0) + 1) > 0)),
  );
  t.deepEqual(counts, [2000, 2000]);
  t.is(pages(), 4);
});

asRoot("a disk that is full for a while costs an error and no entry", async (t) => {
  const disk = await mkdtemp(path.join(os.tmpdir(), "sidemount-full-"));
  await run("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
  t.teardown(async () => {
    await run("umount", ["-l", disk]);
    await rm(disk, { recursive: true });
  });
  const file = await open(path.join(disk, "spool"), "wx+");
  await writeFile(path.join(disk, "ballast"), Buffer.alloc(30_000));
  let pages = 0;
  const spool = new ListingSpool(file, () => {
    const first = (pages += 1) * 500;
    return Promise.resolve(pages > 3 ? undefined : Array.from({ length: 500 }, (_, i) => short(first + i)));
  });
  const names = new Set<string>();
  let position = 0;
  const readOn = (): Promise<void> =>
    spool.read(position, ({ name }, next) => {
      names.add(name);
      position = next;
      return true;
    });
  await t.throwsAsync(readOn, { code: "ENOSPC" });
  await rm(path.join(disk, "ballast"));
  await readOn();
  t.is(names.size, 1500);
  await spool.close();
});

function short(number: number): SpooledEntry {
  return { name: `entry-${String(number).padStart(12, "0")}`, inode: number as InodeId, kind: "file" };
}
