// `sidemount upgrade DIR`: asks the process that supervises the mount to replace its worker by the code now on disk.

import { setTimeout as delay } from "node:timers/promises";

import { withoutLinks } from "./mount-point.ts";
import { MountRefused } from "./mount-refused.ts";
import { controlSocketsOf, livingSupervisor, workerOf } from "./run-file.ts";

const LOOK_EVERY_MS = 50;
/** The new code is loaded before the old worker goes, and then reads what that one has left. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Resolves with the process ids of the old and the new worker once the new one serves. `ask` asks the old one, which
 * listens at one of these sockets. Throws MountRefused if nothing of ours is mounted there, or the worker was not replaced.
 */
export async function upgradeMount(
  directory: string,
  ask: (sockets: readonly string[]) => Promise<void>,
): Promise<{ before: number; now: number }> {
  const real = withoutLinks(directory);
  const pid = livingSupervisor(real);
  if (pid === undefined) {
    throw new MountRefused(
      `no mount of sidemount runs at ${directory}`,
      "Look at the output of `mount`; start one with `sidemount mount`.",
    );
  }
  const before = workerOf(real) ?? pid;
  await ask(controlSocketsOf(real));
  const until = Date.now() + LONGEST_WAIT_MS;
  for (;;) {
    const now = workerOf(real);
    if (now !== undefined && now !== before) return { before, now };
    if (livingSupervisor(real) !== pid || Date.now() > until) {
      throw new MountRefused(
        `the worker ${before} was not replaced`,
        "The log of the mount says why. If the old worker goes on, nothing is lost: stop the mount and start it again.",
      );
    }
    await delay(LOOK_EVERY_MS);
  }
}
