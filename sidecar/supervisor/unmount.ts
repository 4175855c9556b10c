// `sidemount unmount DIR`: asks the process that supervises the mount to stop, or removes what a dead one left.

import { setTimeout as delay } from "node:timers/promises";

import { withoutLinks } from "./mount-point.ts";
import { MountRefused } from "./mount-refused.ts";
import { unmountLazily } from "./mount-stack.ts";
import { isOurs, mountsAt } from "./mount-table.ts";
import { livingSupervisor } from "./run-file.ts";

const LOOK_EVERY_MS = 50;
/** Draining may take as long as the mount's own limit; beyond this the caller is told that it still goes on. */
const LONGEST_WAIT_MS = 10 * 60_000;

/** Ends the mount at `directory` in good order and waits for it. Throws MountRefused if there is none of ours. */
export async function unmountDirectory(directory: string): Promise<void> {
  const real = withoutLinks(directory);
  const pid = livingSupervisor(real);
  if (pid !== undefined) return stopSupervisor(real, pid);
  const top = mountsAt(real).at(-1);
  if (top === undefined)
    throw new MountRefused(`nothing is mounted at ${directory}`, "Look at the output of `mount`.");
  if (!isOurs(top)) {
    throw new MountRefused(
      `${directory} is not ours to unmount (${top.type} from ${top.source})`,
      "Use umount.",
    );
  }
  await unmountLazily(real);
}

async function stopSupervisor(directory: string, pid: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  const until = Date.now() + LONGEST_WAIT_MS;
  while (livingSupervisor(directory) === pid) {
    if (Date.now() > until) {
      throw new MountRefused(
        `process ${pid} is still stopping`,
        "Wait for it, or send it another SIGTERM to hurry.",
      );
    }
    await delay(LOOK_EVERY_MS);
  }
}
