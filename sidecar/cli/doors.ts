// What the command line opens: the parts below it, each loaded only by the command that needs it, so that
// `--help` answers at once and a worker starts without the parts it does not use.

import type { MountHooks, MountOptions } from "../config/mount-options.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { RESTART_PATIENCE_MS, type MountDoors } from "./mounts.ts";

export interface LocalServerOptions {
  readonly directory: string;
  readonly port: number;
  readonly host: string;
  readonly buckets: string[];
  /** Whether buckets it makes have folders of their own. */
  readonly hierarchical: boolean;
  readonly admin: boolean;
  readonly log: Log;
}

export interface LocalServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export interface Doors extends MountDoors {
  /** Mounts and serves until told to stop; answers with the exit code. */
  runMount(options: MountOptions, log: Log, hooks: MountHooks): Promise<number>;
  /** Serves a mount made by a supervisor, whose child this process is. */
  runWorker(): Promise<void>;
  startLocalGcs(options: LocalServerOptions): Promise<LocalServer>;
  unmountDirectory(directory: string): Promise<void>;
  /** Replaces the worker of a mount; answers the process ids of the old and the new one. */
  upgradeMount(directory: string): Promise<{ before: number; now: number }>;
}

/** A worker that is just taking over listens again within this time. */
const ASK_PATIENCE_MS = 5000;

export const doors: Doors = {
  async runMount(options, log, hooks) {
    const app = await import("../app.ts");
    return app.runMount(options, log, hooks);
  },
  async runWorker() {
    const worker = await import("../worker.ts");
    return worker.runWorker();
  },
  async startLocalGcs(options) {
    const server = await import("../local-gcs/server.ts");
    return server.startLocalGcs(options);
  },
  async knownMounts() {
    const supervisor = await import("../supervisor/known-mounts.ts");
    return supervisor.knownMounts();
  },
  async findMount(directory) {
    const supervisor = await import("../supervisor/known-mounts.ts");
    return supervisor.findMount(directory);
  },
  async connect({ sockets }) {
    const control = await import("../control/client.ts");
    return control.connectControl(sockets, RESTART_PATIENCE_MS);
  },
  async openStateFolder(directory) {
    const control = await import("../control/state-folder-control.ts");
    return control.controlStateFolder(directory, createLog("warn", 2));
  },
  async unmountDirectory(directory) {
    const supervisor = await import("../supervisor/unmount.ts");
    return supervisor.unmountDirectory(directory);
  },
  async upgradeMount(directory) {
    const supervisor = await import("../supervisor/upgrade.ts");
    const control = await import("../control/client.ts");
    return supervisor.upgradeMount(directory, async (sockets) => {
      const client = await control.connectControl(sockets, ASK_PATIENCE_MS);
      try {
        await client.ask("upgrade");
      } finally {
        await client.close();
      }
    });
  },
};
