// Which mount a command is about, and the way to ask it.

import type { ControlClient } from "../control/client.ts";
import type { KnownMount } from "../supervisor/known-mounts.ts";

/** What the commands that look after mounts need of the parts below. */
export interface MountDoors {
  /** Those of this machine that are known. */
  knownMounts(): Promise<readonly KnownMount[]>;
  /** The one at a folder; rejects with the reason if there is none of ours. */
  findMount(directory: string): Promise<KnownMount>;
  /** Rejects if nobody answers in time. */
  connect(mount: KnownMount): Promise<ControlClient>;
  /** The state folder of a mount that does not run. */
  openStateFolder(directory: string): Promise<ControlClient>;
}

/** A worker that takes another one's place is there within this time. */
export const RESTART_PATIENCE_MS = 5_000;

/** Runs `work` with a client of the mount. */
export async function asking<T>(
  client: ControlClient,
  work: (client: ControlClient) => Promise<T>,
): Promise<T> {
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
