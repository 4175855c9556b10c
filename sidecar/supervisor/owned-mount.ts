// One folder that this process mounts: from the check of its mount point until nothing is left of it.

import fs from "node:fs";

import type { Log } from "../telemetry/log.ts";
import { prepareMountPoint } from "./mount-point.ts";
import { codeOf, MountRefused } from "./mount-refused.ts";
import { detachServed, mountBoth, removeUnderlay, unmountServed } from "./mount-stack.ts";
import { forgetSupervisor, noteSupervisor } from "./run-file.ts";

export interface OwnedMountSettings {
  readonly directory: string;
  /** What `df` and `mount` show as the device. */
  readonly source: string;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
}

export class OwnedMount {
  /** Where it is, or will be, mounted: without links. */
  readonly directory: string;
  /** Our descriptor of its /dev/fuse. */
  readonly device: number;
  readonly #settings: OwnedMountSettings;
  readonly #log: Log;
  #mounted = false;
  #mountedMs = 0;

  private constructor(settings: OwnedMountSettings, device: number, log: Log) {
    this.#settings = settings;
    this.directory = settings.directory;
    this.device = device;
    this.#log = log;
  }

  /** Checks the mount point and opens the device; nothing is mounted yet. Throws MountRefused. */
  static async prepare(settings: OwnedMountSettings, log: Log): Promise<OwnedMount> {
    const directory = await prepareMountPoint(settings.directory, log);
    return new OwnedMount({ ...settings, directory }, openDevice(), log);
  }

  get mounted(): boolean {
    return this.#mounted;
  }

  async mount(): Promise<void> {
    await mountBoth(this.device, this.#settings);
    this.#mounted = true;
    this.#mountedMs = Date.now();
    this.note();
  }

  /** Notes who supervises and who serves it, for `unmount`, `upgrade` and the next start. */
  note(worker?: number): void {
    if (!this.#mounted) return;
    try {
      noteSupervisor(this.directory, this.#mountedMs, worker);
    } catch (error) {
      this.#log.warn({ err: error }, "it could not be noted which process serves the folder");
    }
  }

  /** Takes the folder away. `served`: its requests are answered until it is gone; else nobody may wait for one. */
  async unmount(served: boolean): Promise<void> {
    if (!this.#mounted) return;
    if (!served) return detachServed(this.directory, { abort: true });
    const busy = await unmountServed(this.directory);
    if (busy)
      this.#log.warn({ directory: this.directory }, "programs still use the folder; it is taken from them");
  }

  /** After `unmount` and the end of the worker. `keepUnderlay`: programs that go on find a folder that refuses writes. */
  async dispose({ keepUnderlay }: { keepUnderlay: boolean }): Promise<void> {
    fs.closeSync(this.device); // of the last reader: what was read and not answered ends
    if (!this.#mounted) return;
    if (!keepUnderlay) await removeUnderlay(this.directory);
    forgetSupervisor(this.directory);
  }
}

function openDevice(): number {
  try {
    return fs.openSync("/dev/fuse", "r+");
  } catch (error) {
    const code = codeOf(error);
    throw new MountRefused(
      code === "ENOENT" ? "there is no /dev/fuse here" : `/dev/fuse cannot be opened (${code})`,
      "In a container: --device /dev/fuse. On a machine: modprobe fuse.",
      error,
    );
  }
}
