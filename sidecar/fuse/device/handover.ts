// What the channel keeps for a later worker of the same mount, and finds of an earlier one.

import type { BackingId } from "../../filesystem/filesystem.ts";
import type { Face, JournalStatements } from "../../handover/journal.ts";
import type { RequestLedger } from "../../handover/requests.ts";
import type { DeviceStarted } from "./channel.ts";
import type { InitOutcome } from "./init.ts";

export interface DeviceHandover {
  readonly journal: JournalStatements;
  readonly face: Face;
  /** Of requests that change something; where none does it is not needed. */
  readonly ledger?: RequestLedger;
  /** Local files the kernel reads and writes by itself, as far as an earlier worker had noted them. */
  readonly backings?: ReadonlySet<BackingId>;
  /** Those that nobody needs any more. */
  readonly closedBackings?: ReadonlySet<BackingId>;
}

/** There is one INIT for all workers of a mount (FUSE.md §4). */
export interface KeptStart {
  readonly init: InitOutcome;
  readonly started: DeviceStarted;
}

/** What an earlier worker and the kernel have agreed on; undefined if there was none. */
export function earlierStart({ journal, face }: DeviceHandover): KeptStart | undefined {
  return journal.setting(`start-${face}`) as KeptStart | undefined;
}

export function keepStart({ journal, face }: DeviceHandover, start: KeptStart): void {
  journal.set(`start-${face}`, start);
}
