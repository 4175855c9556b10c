// `sidemount mount`: in the foreground until told to stop.

import { isatty } from "node:tty";

import type { MountOptions, ReadyMount } from "../config/mount-options.ts";
import type { Log } from "../telemetry/log.ts";
import type { Doors } from "./doors.ts";
import { exitCodes } from "./failure.ts";
import { onSignals, stopSignals } from "./signals.ts";

/** Answers with the exit code: 0, or 75 when something is still owed to the bucket. */
export async function mount(
  options: MountOptions,
  log: Log,
  { runMount }: Pick<Doors, "runMount">,
): Promise<number> {
  const stop = new AbortController();
  const hurry = new AbortController();
  let live: ReadyMount | undefined;
  // A terminal that goes away ends what it has started. Without one the signal asks a daemon for its new code.
  const upgrades = (signal: NodeJS.Signals): boolean =>
    signal === "SIGHUP" && !isatty(0) && live !== undefined;
  using _ = onSignals(stopSignals, (signal) => {
    if (upgrades(signal)) void live?.upgrade();
    else (stop.signal.aborted ? hurry : stop).abort();
  });
  const onReady = (mount: ReadyMount): void => void (live = mount);
  try {
    return await runMount(options, log, { stop: stop.signal, hurry: hurry.signal, onReady });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return exitCodes.done; // told to stop before the folder was live: nothing was mounted, nothing is owed
  }
}
