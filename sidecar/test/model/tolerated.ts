// Every way in which the mount may answer otherwise than a plain folder, with the reason. What is not here is a failure.

import type { Answer, Call } from "./clients.ts";
import type { Settings } from "./world.ts";

interface Tolerated {
  /** Where a user can read of it, or why there is nothing to read. */
  readonly reason: string;
  readonly applies: (call: Call, onMount: Answer, onPlain: Answer, settings: Settings) => boolean;
}

const TOLERATED: readonly Tolerated[] = [];

/** The reason why this difference is none, if there is one. */
export function toleratedBecause(
  call: Call,
  onMount: Answer,
  onPlain: Answer,
  settings: Settings,
): string | undefined {
  return TOLERATED.find(({ applies }) => applies(call, onMount, onPlain, settings))?.reason;
}
