// What the command line opens: the parts below it, each loaded only by the command that needs it, so that
// `--help` answers at once and a worker starts without the parts it does not use.

import type { MountHooks, MountOptions } from "../config/mount-options.ts";
import type { Log } from "../telemetry/log.ts";

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

export interface Doors {
  /** Mounts and serves until told to stop; answers with the exit code. */
  runMount(options: MountOptions, log: Log, hooks: MountHooks): Promise<number>;
  /** Serves a mount made by a supervisor, whose child this process is. */
  runWorker(): Promise<void>;
  startLocalGcs(options: LocalServerOptions): Promise<LocalServer>;
  unmountDirectory(directory: string): Promise<void>;
  /** Replaces the worker of a mount; answers the process ids of the old and the new one. */
  upgradeMount(directory: string): Promise<{ before: number; now: number }>;
}

export const doors: Doors = {
  async runMount(options, log, hooks) {
    const app = await import("../app.ts");
    return app.runMount(options, log, hooks);
  },
  async runWorker() {
    const app = await import("../app.ts");
    return app.runWorker();
  },
  async startLocalGcs(options) {
    const server = await import("../local-gcs/server.ts");
    return server.startLocalGcs(options);
  },
  async unmountDirectory(directory) {
    const supervisor = await import("../supervisor/unmount.ts");
    return supervisor.unmountDirectory(directory);
  },
  async upgradeMount(directory) {
    const supervisor = await import("../supervisor/upgrade.ts");
    return supervisor.upgradeMount(directory);
  },
};
