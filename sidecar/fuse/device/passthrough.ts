// Local files the kernel reads and writes by itself (FUSE.md §3).
//
// Whether it can is not known from the kernel's version: it must offer it, we need CAP_SYS_ADMIN, and the files
// must lie on a file system that is not stacked too deep. So one file is registered to see.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import type { BackingId } from "../../filesystem/filesystem.ts";
import { ioctl } from "../../lib/system-calls.ts";
import type { Log } from "../../telemetry/log.ts";
import type { InitOutcome } from "./init.ts";
import { IOC_BACKING_CLOSE, IOC_BACKING_OPEN } from "./protocol.ts";

export type PassthroughWish = "auto" | "on" | "off";

/** More files than this cannot have been registered between two answers. */
const UNKNOWN_MAX = 128;

/** `--passthrough on`, but it cannot be had. */
export class PassthroughUnavailable extends Error {
  override readonly name = "PassthroughUnavailable";
}

const REASONS: Readonly<Record<string, string>> = {
  EPERM: "the process may not register files with the kernel (CAP_SYS_ADMIN is missing)",
  ELOOP: "the state folder lies on a stacked or FUSE file system",
  EOPNOTSUPP: "the state folder's file system does not support it",
  ENOTTY: "the kernel was built without it",
  EINVAL: "the kernel refused the file",
};

/** FUSE_DEV_IOC_BACKING_OPEN. Throws SystemCallError. */
export function registerBacking(device: number, descriptor: number): BackingId {
  const map = Buffer.alloc(16);
  map.writeInt32LE(descriptor, 0);
  return ioctl(device, IOC_BACKING_OPEN, map) as BackingId;
}

/** FUSE_DEV_IOC_BACKING_CLOSE. Throws SystemCallError. */
export function unregisterBacking(device: number, backing: BackingId): void {
  const id = Buffer.alloc(4);
  id.writeUInt32LE(backing, 0);
  ioctl(device, IOC_BACKING_CLOSE, id);
}

/** Why passthrough is not used; undefined if it is. `folder` is where the files will lie. */
export function whyNoPassthrough(
  device: number,
  wish: PassthroughWish,
  init: InitOutcome,
  folder: string | undefined,
): string | undefined {
  if (wish === "off") return "it was switched off";
  if (!init.passthroughOffered) return "the kernel does not offer it (Linux 6.9 or newer is needed)";
  try {
    probe(device, folder ?? os.tmpdir());
    return undefined;
  } catch (error) {
    return reasonFor(error);
  }
}

function probe(device: number, folder: string): void {
  const file = path.join(folder, `.passthrough-probe-${process.pid}`);
  const descriptor = fs.openSync(file, "w+", 0o600);
  try {
    unregisterBacking(device, registerBacking(device, descriptor));
  } finally {
    fs.closeSync(descriptor);
    fs.rmSync(file, { force: true });
  }
}

function reasonFor(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return REASONS[code] ?? `registering a file failed with ${code}`;
}

/** Registers files and gives them back. Neither throws: a file that cannot be shared is served by us. */
export class BackingFiles {
  readonly #device: number;
  readonly #log: Log;
  readonly #reported = new Set<string>();
  #enabled = false;

  constructor(device: number, log: Log) {
    this.#device = device;
    this.#log = log;
  }

  enable(): void {
    this.#enabled = true;
  }

  /**
   * Files that an earlier worker had registered and could not note any more. Numbers are given out one after another, so
   * they are the last ones before that of a file registered now (RULES 19).
   */
  giveBackUnknown(known: ReadonlySet<BackingId>): void {
    const file = fs.openSync(process.execPath, "r");
    try {
      const next = registerBacking(this.#device, file);
      for (let id = Math.max(1, next - UNKNOWN_MAX); id <= next; id++)
        if (!known.has(id as BackingId)) this.unshare(id as BackingId);
    } catch (error) {
      this.#log.debug({ err: error }, "it could not be seen which files the kernel still has");
    } finally {
      fs.closeSync(file);
    }
  }

  share(descriptor: number): BackingId | undefined {
    if (!this.#enabled) return undefined;
    try {
      return registerBacking(this.#device, descriptor);
    } catch (error) {
      this.#reportOnce(reasonFor(error), error);
      return undefined;
    }
  }

  unshare(backing: BackingId): void {
    try {
      unregisterBacking(this.#device, backing);
    } catch (error) {
      this.#log.debug({ err: error, backing }, "a file could not be taken back from the kernel");
    }
  }

  #reportOnce(reason: string, error: unknown): void {
    if (this.#reported.has(reason)) return;
    this.#reported.add(reason);
    this.#log.warn(
      { err: error, reason },
      "a file cannot be passed through and is served by us; more may follow",
    );
  }
}
