// Programs write, and something is killed: the worker, the supervisor, both, or the machine. Whatever a program was told
// is stored is in the bucket at once, and through the mount after the next start. With --write-back it is in the bucket when
// nothing is owed any more.

import test, { type ExecutionContext } from "ava";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BucketServer } from "../helpers/bucket-server.ts";
import { sidemount } from "../helpers/command.ts";
import { Cleanups, type Cleaning } from "../helpers/cleanups.ts";
import { mounted, type Mount } from "../helpers/mounted.ts";
import { readManifest, type Content } from "./manifest.ts";

const run = promisify(execFile);
const WRITERS = fileURLToPath(new URL("./writers.py", import.meta.url));
/** Rounds of each kind; `npm run crash -- --rounds N` asks for more. */
const ROUNDS = Number(process.env["SIDEMOUNT_TEST_ROUNDS"] ?? 3);
/** Rounds in which nothing was in flight do not count; so many are tried for one that does. */
const TRIES = 4;
const RUN_MS = [300, 2500] as const;

/** The state folder on a disk of its own, whose state after a loss of power can be had. */
class Disk {
  readonly folder: string;
  readonly #image: string;

  private constructor(folder: string, image: string) {
    this.folder = folder;
    this.#image = image;
  }

  static async make(t: Cleaning): Promise<Disk> {
    const place = await mkdtemp(path.join(os.tmpdir(), "sidemount-power-"));
    const disk = new Disk(path.join(place, "disk"), path.join(place, "image"));
    await mkdir(disk.folder);
    await run("truncate", ["-s", "1G", disk.#image]);
    await run("mkfs.ext4", ["-q", "-m", "0", disk.#image]);
    await disk.attach();
    t.teardown(async () => {
      await run("umount", ["-l", disk.folder]).catch(() => undefined);
      await rm(place, { recursive: true, force: true });
    });
    return disk;
  }

  async attach(): Promise<void> {
    await run("mount", ["-o", "loop", this.#image, this.folder]);
  }

  /** What the disk itself has now, without the pages the kernel still holds for it. */
  async losePower(whileNothingRuns: () => Promise<void>): Promise<void> {
    await run("cp", ["--sparse=always", this.#image, `${this.#image}.lost`]);
    await whileNothingRuns();
    await run("umount", ["-l", this.folder]);
    await run("mv", [`${this.#image}.lost`, this.#image]);
    await this.attach();
  }
}

interface Round {
  readonly mount: Mount;
  readonly disk: Disk | undefined;
  readonly program: ChildProcess;
  /** It has ended. */
  readonly gone: Promise<unknown>;
}

/** What is killed. Afterwards no program waits for the mount any more. */
const KILLS = {
  "the worker is killed": async ({ mount, program }: Round) => {
    process.kill(await mount.worker(), "SIGKILL");
    await delay(Math.random() * 500);
    program.stdin?.end(); // they end by themselves, with everything stored
  },
  "the supervisor is killed": async ({ mount, gone }: Round) => {
    const ended = once(mount.child, "exit");
    mount.child.kill("SIGKILL");
    await ended;
    await gone; // the worker finishes what is under way, and takes the folder away
  },
  "everything is killed": async ({ mount, gone }: Round) => {
    await mount.kill();
    await gone; // each call fails; once the folder is detached, writes would succeed in the one below
    await mount.detach();
  },
  "the machine loses power": async ({ mount, disk, gone }: Round) => {
    const pids = [mount.child.pid ?? 0, await mount.worker()];
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    await disk?.losePower(() => mount.kill());
    await gone;
    await mount.detach();
  },
};

/** Where there are no loop devices power cannot be lost. */
const CAN_LOSE_POWER = existsSync("/dev/loop-control") && existsSync("/usr/sbin/mkfs.ext4");

interface Mode {
  /** How programs are told that something is stored. */
  readonly options: readonly string[];
  /** What they do: see writers.py. */
  readonly writers?: "logs";
  /** How long the bucket thinks about each request. */
  readonly latencyMs?: number;
}

const WRITE_BACK = "RULES 11: with --write-back: ";
for (const [what, kill] of Object.entries(KILLS)) declareRounds(what, kill, { options: [] });
for (const [what, kill] of Object.entries(KILLS))
  declareRounds(WRITE_BACK + what, kill, { options: ["--write-back"] });
for (const what of ["the worker is killed", "everything is killed"] as const)
  declareRounds(`${WRITE_BACK}logs grow, and ${what}`, KILLS[what], {
    options: ["--write-back"],
    writers: "logs",
    latencyMs: 50,
  });

function declareRounds(what: string, kill: (round: Round) => Promise<void>, mode: Mode): void {
  const declare = what.includes("power") && !CAN_LOSE_POWER ? test.skip : test.serial;
  declare(`${what}: all that was acknowledged is there`, async (t) => {
    t.timeout(ROUNDS * TRIES * 60_000);
    let counted = 0;
    let names = 0;
    for (let tries = 0; counted < ROUNDS && tries < ROUNDS * TRIES; tries += 1) {
      const { inFlight, checked } = await oneRound(t, kill, mode, what.includes("power"));
      if (inFlight) counted += 1;
      names += checked;
    }
    t.log(`${counted} rounds with something in flight, ${names} names checked`);
    t.is(counted, ROUNDS);
  });
}

async function oneRound(
  t: ExecutionContext,
  kill: (round: Round) => Promise<void>,
  mode: Mode,
  withDisk: boolean,
): Promise<{ inFlight: boolean; checked: number }> {
  const cleaning = new Cleanups();
  try {
    const server = await BucketServer.start(cleaning);
    const disk = withDisk ? await Disk.make(cleaning) : undefined;
    const options = disk === undefined ? [] : ["--state-dir", path.join(disk.folder, "state")];
    const mount = await mounted(cleaning, server, ["--channel", "device", ...mode.options, ...options]);
    if (mode.latencyMs !== undefined) await server.latency(mode.latencyMs);
    const manifest = path.join(server.directory, "manifest");
    const program = spawn("/usr/bin/python3", [WRITERS, mount.directory, manifest, mode.writers ?? ""], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    cleaning.teardown(async () => void program.kill("SIGKILL"));
    const gone = once(program, "exit");
    await once(createInterface({ input: program.stdout }), "line");
    await delay(RUN_MS[0] + Math.random() * (RUN_MS[1] - RUN_MS[0]));
    const before = readManifest(await readFile(manifest, "utf8"));
    const inFlight = [...before.values()].some((each) => each.inFlight);
    await kill({ mount, disk, program, gone });
    await gone;
    const expected = readManifest(await readFile(manifest, "utf8"));
    const checkBucket = async (): Promise<void> => {
      for (const [name, { allowed }] of expected) {
        const found = contentOf(await server.get(name));
        t.true(allowed.has(found), `${name} in the bucket: ${found} is none of ${[...allowed].join(", ")}`);
      }
    };
    const writesBack = mode.options.includes("--write-back");
    if (!writesBack) await checkBucket();
    await mount.restart().catch(() => mount.start());
    for (const [name, { allowed }] of expected) {
      const found = contentOf(await readFile(mount.path(name)).catch(() => undefined));
      t.true(allowed.has(found), `${name} through the mount: ${found} is none of ${[...allowed].join(", ")}`);
    }
    if (writesBack) {
      const { code, stderr } = await sidemount("pending", mount.directory, "--wait", "--timeout", "60s");
      t.is(code, 0, stderr);
      await checkBucket();
    }
    return { inFlight, checked: expected.size };
  } finally {
    await cleaning.run();
  }
}

function contentOf(bytes: Buffer | undefined): Content {
  return bytes === undefined ? "-" : createHash("sha256").update(bytes).digest("hex");
}
