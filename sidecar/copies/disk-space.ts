// How much of the disk is left. Some of it is kept free: a full disk would stop the databases, and whatever else is on it.
//
// Below the reserve clean copies go first. Where that is not enough, writes that go through us fail with ENOSPC. The kernel
// writes to whole copies by itself, and a program that then meets a full disk is told by the kernel, not by us: so it is
// noted when the disk was full, and what was written meanwhile is not taken for complete (RULES 12).

import fs from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import type { Log } from "../telemetry/log.ts";
import { allocate } from "../lib/system-calls.ts";
import { Turn } from "../lib/turn.ts";

const RESERVE_MAX_BYTES = 512 << 20;
const RESERVE_OF_DISK = 0.05;
/**
 * With less than this free a write may have failed. More than the ballast, which may have been given up since; half of
 * the reserve on small disks, where that is small.
 */
const FULL_BYTES = 24 << 20;
/** RULES 12: for the databases, beyond the reserve, which the kernel does not know of. Less on small disks. */
const BALLAST_MAX_BYTES = 16 << 20;
const BALLAST_OF_DISK = 0.02;
/** What is given back at a time beyond what is lacking, as a part of the reserve: each time costs a commit. */
const GIVEN_BACK_BEYOND = 0.25;
/** How often to look, and how often while a fast writer could fill the disk before the next look. */
const LOOK_EVERY_MS = 1000;
const LOOK_OFTEN_MS = 100;
const SOON_FULL_BYTES = 2 * 2 ** 30;

/** There is no room on the local disk. `code` is that of errors of node:fs. */
export class DiskFullError extends Error {
  override readonly name = "DiskFullError";
  readonly code = "ENOSPC";
}

export interface DiskUse {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly reserveBytes: number;
}

/** What is to stay free of a disk of this size: 5 % of it, at most 512 MiB. */
export function reserveOf(totalBytes: number): number {
  return Math.min(RESERVE_MAX_BYTES, Math.floor(totalBytes * RESERVE_OF_DISK));
}

export interface DiskSpaceOptions {
  /** A folder on the disk. */
  readonly directory: string;
  readonly ballastPath: string;
  /** Gives back that much if it can; resolves when the disk has it. */
  readonly release: (wantedBytes: number) => Promise<void>;
  readonly log: Log;
}

export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  #timer: NodeJS.Timeout | undefined;
  readonly #looks = new Turn();
  #stopped = false;
  #scarce = false;
  /** What may be written before it is time to look again. */
  #spareBytes = 0;
  #fullAtMs = -Infinity;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
  }

  /** Looks now, and from time to time until stopped. */
  async watch(): Promise<void> {
    const use = await this.look();
    await this.#keepBallast(use);
    if (this.#stopped) return;
    const { freeBytes, totalBytes } = use;
    const soonFull = freeBytes < Math.min(totalBytes / 2, SOON_FULL_BYTES);
    this.#timer = setTimeout(
      () => {
        this.watch().catch((error: unknown) =>
          this.#options.log.error({ err: error }, "nobody looks after the space of the disk any more"),
        );
      },
      soonFull ? LOOK_OFTEN_MS : LOOK_EVERY_MS,
    ).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looks.run(() => Promise.resolve());
  }

  /** As of the last look: less than the reserve is free, and nothing more could be given back. */
  get scarce(): boolean {
    return this.#scarce;
  }

  /** `scarce` as of now. */
  async lookIsScarce(): Promise<boolean> {
    await this.look();
    return this.#scarce;
  }

  /** Whether the disk was seen full since then, by `performance.now()`. Look first. */
  wasFullSince(sinceMs: number): boolean {
    return this.#fullAtMs >= sinceMs;
  }

  /** Before so many bytes are written: throws DiskFullError if the reserve would be used for them. */
  async require(bytes: number): Promise<void> {
    this.#spareBytes -= bytes;
    if (this.#spareBytes >= 0) return;
    await this.#looks.run(() => this.#look(bytes));
    if (this.#spareBytes < 0) throw new DiskFullError("the disk of the state folder is nearly full");
  }

  /** As `require`, for those who can do without. */
  async allows(bytes: number): Promise<boolean> {
    if (bytes === 0) return true;
    try {
      await this.require(bytes);
      return true;
    } catch (error) {
      if (error instanceof DiskFullError) return false;
      throw error;
    }
  }

  /** Measures, and gives back what can be given back if there is too little. */
  look(): Promise<DiskUse> {
    return this.#looks.run(() => this.#look(0));
  }

  /** So many bytes are about to be written. */
  async #look(bytes: number): Promise<DiskUse> {
    let use = await this.#measure();
    const lackingBytes = use.reserveBytes + bytes - use.freeBytes;
    if (lackingBytes > 0 && !this.#stopped) {
      await this.#options.release(lackingBytes + use.reserveBytes * GIVEN_BACK_BEYOND);
      use = await this.#measure();
    }
    const { freeBytes, reserveBytes } = use;
    this.#spareBytes = freeBytes - reserveBytes - bytes;
    this.#note(freeBytes < reserveBytes, use);
    return use;
  }

  async #measure(): Promise<DiskUse> {
    // What file systems set aside, for root or for themselves, is no room: ext4 lets nobody have all that is free.
    const { bavail, blocks, bsize } = await statfs(this.#options.directory);
    const [freeBytes, totalBytes] = [bavail * bsize, blocks * bsize];
    const reserveBytes = reserveOf(totalBytes);
    if (freeBytes < Math.min(FULL_BYTES, reserveBytes / 2)) this.#fullAtMs = performance.now();
    return { freeBytes, totalBytes, reserveBytes };
  }

  #note(scarce: boolean, use: DiskUse): void {
    if (scarce && !this.#scarce)
      this.#options.log.warn(
        { ...use },
        "the disk of the state folder is nearly full and nothing can be given back; writes fail until there is room",
      );
    if (!scarce && this.#scarce)
      this.#options.log.info({ ...use }, "the disk of the state folder has room again");
    this.#scarce = scarce;
  }

  /** The file whose removal lets the database write on. Made when there is room enough to spare. */
  async #keepBallast({ freeBytes, totalBytes, reserveBytes }: DiskUse): Promise<void> {
    const { ballastPath, log } = this.#options;
    const bytes = Math.min(BALLAST_MAX_BYTES, Math.floor(totalBytes * BALLAST_OF_DISK));
    if (this.#stopped || freeBytes < reserveBytes + bytes || fs.existsSync(ballastPath)) return;
    const file = await open(ballastPath, "wx", 0o600);
    try {
      await allocate(file.fd, 0, 0, bytes);
    } catch (error) {
      await rm(ballastPath, { force: true });
      log.debug({ err: error }, "no space could be set aside for the database");
    } finally {
      await file.close();
    }
  }
}
