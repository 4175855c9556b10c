// `sidemount mount`: in the foreground until told to stop.

import type { MountOptions } from "../config/mount-options.ts";
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
  using _ = onSignals(stopSignals, () => (stop.signal.aborted ? hurry : stop).abort());
  try {
    return await runMount(options, log, { stop: stop.signal, hurry: hurry.signal });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return exitCodes.done; // told to stop before the folder was live: nothing was mounted, nothing is owed
  }
}
