// Complete files through the mount against the same disk: the kernel should do both by itself.

import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { BucketServer } from "../test/helpers/bucket-server.ts";
import { Cleanups } from "../test/helpers/cleanups.ts";
import { mounted } from "../test/helpers/mounted.ts";
import { compare, type Comparison } from "./compare.ts";

const run = promisify(execFile);
const FILE_MIB = 256;

/** Runs a Python program in a process of its own; it prints one number. */
async function measure(program: string, folder: string): Promise<number> {
  const { stdout } = await run("/usr/bin/python3", [
    "-c",
    `import os, time\nos.chdir(${JSON.stringify(folder)})\n${program}`,
  ]);
  return Number(stdout);
}

const WRITE = (block: number, mib: number): string => `
block = os.urandom(${block}); n = (${mib} << 20) // ${block}
fd = os.open("written", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
os.sync(); time.sleep(0.3) # what earlier rounds left to write back is nobody's business
begin = time.perf_counter()
for _ in range(n): os.write(fd, block)
took = time.perf_counter() - begin
os.close(fd)
print(${mib} / took)`;

const READ = `
fd = os.open("data", os.O_RDONLY); begin = time.perf_counter()
while os.read(fd, 1 << 20): pass
print(${FILE_MIB} / (time.perf_counter() - begin)); os.close(fd)`;

const OPEN_SMALL = `
begin = time.perf_counter()
for _ in range(2000):
    fd = os.open("small", os.O_RDONLY); os.read(fd, 4096); os.close(fd)
print(2000 / (time.perf_counter() - begin))`;

const STAT = `
begin = time.perf_counter()
for _ in range(5000): os.stat("small")
print(5000 / (time.perf_counter() - begin))`;

const PREPARE = `
with open("data", "wb") as f:
    for _ in range(${FILE_MIB}): f.write(os.urandom(1 << 20))
open("small", "wb").write(os.urandom(4096)); time.sleep(0.5); print(0)`;

export async function local(): Promise<Comparison[]> {
  const cleanups = new Cleanups();
  try {
    const server = await BucketServer.start(cleanups);
    const mount = await mounted(cleanups, server);
    const disk = path.join(mount.directory, "..", "disk"); // the disk that holds the copies too
    await mkdir(disk);
    for (const folder of [disk, mount.directory]) await measure(PREPARE, folder);
    await server.age(3_600_000);
    const both = (program: string): [() => Promise<number>, () => Promise<number>] => [
      () => measure(program, disk),
      () => measure(program, mount.directory),
    ];
    return [
      await compare({ what: "sequential read, 1 MiB at a time", unit: "MiB/s", goal: 0.9 }, ...both(READ)),
      await compare({ what: "4 KiB writes", unit: "MiB/s", goal: 0.9 }, ...both(WRITE(4096, 64))),
      await compare({ what: "1 MiB writes", unit: "MiB/s", goal: 0.8 }, ...both(WRITE(1 << 20, 256))),
      await compare({ what: "open, read 4 KiB, close (warm)", unit: "/s" }, ...both(OPEN_SMALL)),
      await compare({ what: "stat (warm)", unit: "/s" }, ...both(STAT)),
    ];
  } finally {
    await cleanups.run();
  }
}
