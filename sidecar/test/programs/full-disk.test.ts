// A disk that fills up: clean copies go first, writers are told, and nothing becomes an object that is cut short.

import test, { type ExecutionContext } from "ava";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, statfs, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { BucketServer } from "../helpers/bucket-server.ts";
import { asked } from "../helpers/command.ts";
import { mounted, python, SETTINGS, type Mount } from "../helpers/mounted.ts";

const run = promisify(execFile);
const MIB = 1 << 20;

type DiskKind = "tmpfs" | "ext4";

/** Where there are no loop devices, tmpfs has to stand for all disks. */
const KINDS: readonly DiskKind[] =
  existsSync("/dev/loop-control") && existsSync("/usr/sbin/mkfs.ext4") ? ["tmpfs", "ext4"] : ["tmpfs"];

/** A disk of its own, of so many MiB. */
async function disk(t: ExecutionContext, kind: DiskKind, sizeMib: number): Promise<string> {
  const place = await mkdtemp(path.join(os.tmpdir(), "sidemount-disk-"));
  const folder = path.join(place, "disk");
  const image = path.join(place, "image");
  await mkdir(folder);
  if (kind === "tmpfs")
    await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMib}m`, "sidemount-test", folder]);
  else {
    await run("truncate", ["-s", `${sizeMib}M`, image]);
    await run("mkfs.ext4", ["-q", "-m", "0", image]);
    await run("mount", ["-o", "loop", image, folder]);
  }
  t.teardown(async () => {
    await run("umount", ["-l", folder]);
    await rm(place, { recursive: true, force: true });
  });
  return folder;
}

interface Place {
  readonly t: ExecutionContext;
  readonly server: BucketServer;
  readonly folder: string;
  readonly mount: Mount;
  readonly setting: (typeof SETTINGS)[number]["name"];
}

function onSmallDisk(
  title: string,
  sizeMib: number,
  act: (place: Place) => Promise<void>,
  kinds: readonly DiskKind[] = ["tmpfs"],
): void {
  for (const kind of kinds) {
    for (const { name, options } of SETTINGS) {
      test.serial(`${name}: on ${kind}: ${title}`, async (t) => {
        const folder = await disk(t, kind, sizeMib); // taken away after the mount
        const server = await BucketServer.start(t);
        const state = path.join(folder, "state");
        const mount = await mounted(t, server, [...options, "--state-dir", state]);
        await act({ t, server, folder, mount, setting: name });
      });
    }
  }
}

/** Writes so many MiB piece by piece and closes; answers where it went wrong. */
function writing(name: string, mib: number, { mode = "wb", pauseMs = 0 } = {}): string {
  return `
import errno, os, time
def act():
    f = open("${name}", "${mode}", buffering=0)
    where = "done"
    try:
        for i in range(${mib}):
            n = f.write(bytes([i % 251]) * ${MIB})
            if n != ${MIB}: f.write(bytes(${MIB} - n))
            time.sleep(${pauseMs / 1000})
    except OSError as e:
        where = "write " + errno.errorcode[e.errno]
    try: f.close()
    except OSError as e: where += ", close " + errno.errorcode[e.errno]
    return where
print(act())`;
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function cachedBytes(mount: Mount): Promise<number> {
  const [status] = await asked<{ cache: { usedBytes: number } }[]>("status", mount.directory);
  return status?.cache.usedBytes ?? 0;
}

async function until(
  t: ExecutionContext,
  what: string,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await holds()) return;
    await delay(100);
  }
  t.fail(what);
}

onSmallDisk(
  "RULES 12: a file that does not fit is ENOSPC for its writer, and no object; afterwards there is room again",
  64,
  async ({ t, server, folder, mount, setting }) => {
    const edits = setting !== "passthrough"; // what is written from nothing, through us, need not fit
    if (edits) await server.put("large", "old");
    const said = await python(mount, writing("large", 100, { mode: edits ? "r+b" : "wb" }));
    t.regex(said, /^(write ENOSPC, close ENOSPC|done, close ENOSPC)\n$/);
    t.is((await server.get("large"))?.toString(), edits ? "old" : undefined);
    await until(t, "what there was of it is given back", async () => (await freeBytes(folder)) > 50 * MIB);
    // The kernel is told after the close was answered.
    await until(t, "the name is what is in the bucket", () => existsSync(mount.path("large")) === edits);
    await writeFile(mount.path("small"), "fits");
    t.is((await server.get("small"))?.toString(), "fits");
    await python(mount, writing("medium", 20));
    t.is((await server.get("medium"))?.length, 20 * MIB);
  },
  KINDS,
);

onSmallDisk(
  "a file that is written anew and does not fit is stored whole or leaves the object that was there",
  64,
  async ({ t, server, mount, setting }) => {
    const old = randomBytes(100_000);
    await server.put("f", old);
    t.deepEqual(await readFile(mount.path("f")), old);
    const said = await python(mount, writing("f", 100));
    t.log(said.trim());
    if (said === "done\n" || setting !== "passthrough") {
      t.is(said, "done\n"); // through us, as also with passthrough where the disk is short already, or a reader is still there
      t.is((await server.get("f"))?.length, 100 * MIB);
      return;
    }
    t.regex(said, /close ENOSPC/);
    t.deepEqual(await server.get("f"), old);
    await until(t, "the old version is shown", async () => (await readFile(mount.path("f"))).equals(old));
  },
  KINDS,
);

onSmallDisk(
  "clean copies make room for what is written, down to the reserve",
  100,
  async ({ t, server, folder, mount, setting }) => {
    for (const name of ["a", "b", "c"]) {
      await server.put(name, randomBytes(20 * MIB));
      t.is((await readFile(mount.path(name))).length, 20 * MIB);
    }
    await until(t, "they are cached", async () => (await cachedBytes(mount)) >= 60 * MIB);
    // The kernel writes by itself as fast as it can; we look ten times a second when there is little left.
    const pauseMs = setting === "passthrough" ? 50 : 0;
    t.is(await python(mount, writing("d", 60, { pauseMs })), "done\n");
    t.is((await server.get("d"))?.length, 60 * MIB);
    const [status] = await asked<{ disk: { reserveBytes: number; totalBytes: number } }[]>(
      "status",
      mount.directory,
    );
    const { reserveBytes = 0, totalBytes = 0 } = status?.disk ?? {};
    t.is(reserveBytes, Math.floor(totalBytes * 0.05));
    t.true((await freeBytes(folder)) >= reserveBytes);
    t.deepEqual((await readFile(mount.path("a"))).length, 20 * MIB, "what had to go is fetched again");
  },
  KINDS,
);

onSmallDisk(
  "RULES 12: a file that is larger than the disk is read in one pass, and what is here of it leaves the reserve free",
  64,
  async ({ t, server, folder, mount }) => {
    const large = randomBytes(150 * MIB);
    await server.put("large", large);
    await server.put("medium", large.subarray(0, 60 * MIB)); // as large as the disk, and fetched whole where it fits
    const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
    for (const [name, bytes] of [
      ["large", large],
      ["medium", large.subarray(0, 60 * MIB)],
    ] as const) {
      const said = await run("sha256sum", [mount.path(name)]);
      t.is(said.stdout.split(" ")[0], digest(bytes), name);
    }
    const somewhere = await python(
      mount,
      `import hashlib
with open("large", "rb") as f:
    f.seek(140_000_000)
    print(hashlib.sha256(f.read(5_000_000)).hexdigest())`,
    );
    t.is(somewhere.trim(), digest(large.subarray(140_000_000, 145_000_000)));
    const [status] = await asked<{ disk: { reserveBytes: number } }[]>("status", mount.directory);
    t.true((await freeBytes(folder)) >= (status?.disk.reserveBytes ?? Infinity));
    t.is(await python(mount, writing("small", 1)), "done\n", "there is room for what is written");
  },
);

onSmallDisk(
  "RULES 12: a file that is larger than the disk is written in one pass, where writes go through us",
  64,
  async ({ t, server, folder, mount, setting }) => {
    if (setting === "passthrough") {
      t.pass(); // there the kernel writes, and tells the program
      return;
    }
    const digest = (bytes: Buffer | undefined): string =>
      createHash("sha256")
        .update(bytes ?? "")
        .digest("hex");
    await server.put("again", "old");
    const said = await python(
      mount,
      `import hashlib, os
sums = []
for name, megabytes in (("large", 150), ("again", 100)):
    sum = hashlib.sha256()
    with open(name, "wb", buffering=0) as f:
        for i in range(megabytes):
            piece = os.urandom(1 << 20)
            sum.update(piece)
            f.write(piece)
        assert os.fstat(f.fileno()).st_size == megabytes << 20
    with open(name, "rb") as f:
        assert hashlib.file_digest(f, "sha256").digest() == sum.digest()
    sums.append(sum.hexdigest())
print(*sums)`,
    );
    const [large = "", again = ""] = said.trim().split(" ");
    t.is(digest(await server.get("large")), large);
    t.is(digest(await server.get("again")), again);
    const first = (await server.get("again"))?.subarray(0, 10);
    const changed = await python(
      mount,
      `import os
with open("gone", "wb", buffering=0) as f:
    for i in range(100): f.write(bytes(1 << 20))
    os.unlink("gone")
with open("back", "wb", buffering=0) as f:
    for i in range(100): f.write(bytes(1 << 20))
    f.seek(0)
    try:
        f.write(b"x")
        os.fsync(f.fileno())
        print("stored")
    except OSError as error: print(error.strerror)
    f.truncate(0)`,
    );
    t.is(
      changed,
      "No space left on device\n",
      "what has left the disk cannot be changed without having room for it",
    );
    t.is((await server.get("again"))?.subarray(0, 10).toString("hex"), first?.toString("hex"));
    await until(t, "nothing else is left", async () => (await server.names(".sidemount.tmp/")).length === 0);
    t.deepEqual(await server.names(), ["again", "back", "large"]);
    t.true((await freeBytes(folder)) > 0);
  },
);

onSmallDisk(
  "a program that meets a full disk, makes room and writes again is stored whole",
  64,
  async ({ t, server, folder, mount }) => {
    // Only of what goes through us it is known to have been mended; that a disk is nearly full makes it go through us.
    const filler = path.join(folder, "filler");
    await run("fallocate", ["-l", String((await freeBytes(folder)) - MIB), filler]);
    await until(t, "it is noticed", () =>
      mount.lines.some(({ message }) => /nearly full/.test(String(message))),
    );
    const said = await python(
      mount,
      `
import errno, os
f = open("log", "ab", buffering=0)
try: f.write(b"first "); print("written")
except OSError as e: print(errno.errorcode[e.errno])
try: os.fsync(f.fileno()); print("stored")
except OSError as e: print(errno.errorcode[e.errno])
os.unlink("${filler}")
f.write(b"second"); f.close(); print("closed")`,
    );
    t.is(said, "ENOSPC\nENOSPC\nclosed\n");
    t.is((await server.get("log"))?.toString(), "second");
    await until(t, "it is said", () =>
      mount.lines.some(({ message }) => /has room again/.test(String(message))),
    );
  },
);

onSmallDisk(
  "RULES 12: records are written on a full disk as long as the ballast lasts, which is made again",
  64,
  async ({ t, server, folder, mount }) => {
    await writeFile(mount.path("f"), "x");
    const ballast = path.join(folder, "state", "ballast");
    await until(t, "there is a ballast", () => existsSync(ballast));
    await until(t, "all is recorded", async () => (await cachedBytes(mount)) > 0);
    const filler = path.join(folder, "filler");
    await run("dd", ["if=/dev/zero", `of=${filler}`, "bs=64k"]).catch(() => undefined); // until it is full
    await run("dd", ["if=/dev/zero", `of=${filler}`, "bs=512", "oflag=append", "conv=notrunc"]).catch(
      () => undefined,
    );
    t.is(await freeBytes(folder), 0);
    for (let i = 0; i < 20; i += 1) await python(mount, `import os; os.chmod("f", 0o6${i % 8}${i % 8})`);
    t.false(existsSync(ballast), "it was used");
    await until(
      t,
      "the bucket has it",
      async () => (await server.stat("f"))?.metadata?.["goog-reserved-posix-mode"] === "633",
    );
    await rm(filler);
    await until(t, "there is a ballast again", () => existsSync(ballast));
  },
);

for (const { name, options } of SETTINGS) {
  test.serial(
    `${name}: RULES 11, 12: what an fsync has acknowledged stays when what follows does not fit`,
    async (t) => {
      const folder = await disk(t, "tmpfs", 64);
      const server = await BucketServer.start(t);
      const state = ["--state-dir", path.join(folder, "state")];
      const mount = await mounted(t, server, [...options, ...state, "--write-back", "--deadline", "2s"]);
      await server.faults({ method: "storage.objects.insert", action: "return-503" });
      const said = await python(
        mount,
        `
import errno, os
f = open("f", "wb", buffering=0)
f.write(b"kept" * 1000); os.fsync(f.fileno())
try:
    for i in range(100): f.write(bytes(${MIB}))
    where = "done"
except OSError as e: where = "write " + errno.errorcode[e.errno]
try: f.close()
except OSError as e: where += ", close " + errno.errorcode[e.errno]
print(where)`,
      );
      t.regex(said, /ENOSPC/);
      const acknowledged = "kept".repeat(1000);
      const shown = async () => (await readFile(mount.path("f"), "utf8").catch(() => "")) === acknowledged;
      await until(t, "it shows what was acknowledged", shown);
      await server.clearFaults();
      const stored = async () => (await server.get("f"))?.toString() === acknowledged;
      await until(t, "the bucket gets what was acknowledged", stored);
      t.true(await shown());
      t.is(await mount.stop(), 0);
    },
  );
}

onSmallDisk(
  "RULES 12: where not even that helps, what cannot be recorded is ENOSPC and never success",
  64,
  async ({ t, server, folder, mount }) => {
    await writeFile(mount.path("f"), "x");
    await until(t, "there is a ballast", () => existsSync(path.join(folder, "state", "ballast")));
    await server.faults({ method: "storage.objects.patch", action: "return-503" });
    const said = await python(
      mount,
      `
import errno, os, subprocess
answers = []
for i in range(3000):
    subprocess.run("cat /dev/zero >> ${folder}/filler", shell=True, stderr=subprocess.DEVNULL)
    try: os.utime("f", (i + 1, i + 1))
    except OSError as e: answers.append(errno.errorcode[e.errno])
    if len(answers) == 3: break
print(answers)`,
    );
    t.is(said, "['ENOSPC', 'ENOSPC', 'ENOSPC']\n");
    await rm(path.join(folder, "filler"));
    await server.clearFaults();
    await python(mount, 'import os; os.utime("f", (5, 5))');
    await until(
      t,
      "it goes on",
      async () => (await server.stat("f"))?.metadata?.["goog-reserved-file-mtime"] === "5",
    );
  },
);
