// Whether a failed request is sent again, and when. The only place that decides it.
//
// Every request we send is safe to repeat: questions change nothing, and every change names the generation it
// expects. Whether a repeated change was carried out by the lost first try is for its caller to find out.

import type { BucketError, BucketErrorKind } from "./errors.ts";

// Small because a filesystem waits: Google's own library starts at 2 s.
const firstDelayMs = 100;
const factor = 2;
// Google asks for back-off up to 32 or 64 s, for jobs; after 8 s an application has rather an error.
const longestDelayMs = 8_000;
// With less time left than this, another try would only fail later.
const leastTimeMs = 20;

const repeatable = {
  "not-found": false,
  "bucket-not-found": false,
  "precondition-failed": false,
  "already-exists": false,
  "not-empty": false,
  forbidden: false,
  unauthenticated: false,
  retained: false,
  throttled: true,
  unavailable: true,
  deadline: true, // one try heard nothing; the next goes over another connection
  checksum: false,
  invalid: false,
  aborted: false,
} as const satisfies Record<BucketErrorKind, boolean>;

/**
 * How long to wait before the next try, or undefined to give up. `attempt` counts the tries made so far,
 * `leftMs` is what remains of the deadline, `random` gives numbers in [0, 1): full jitter, so that many who
 * failed together do not come back together.
 */
export function retryDelayMs(
  error: Pick<BucketError, "kind" | "retryAfterMs">,
  attempt: number,
  leftMs: number,
  random: () => number,
): number | undefined {
  if (!repeatable[error.kind] || leftMs < leastTimeMs) return undefined;
  const ceiling = Math.min(longestDelayMs, firstDelayMs * factor ** (attempt - 1));
  const asked = error.retryAfterMs ?? 0;
  if (asked >= leftMs) return undefined;
  // Half of what is left at most, so that the last try comes before the deadline and has time for its answer.
  return Math.max(asked, Math.min(random() * ceiling, leftMs / 2));
}
