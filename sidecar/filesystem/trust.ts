// How long a confirmed version may be used without asking the bucket again (RULES 32).
//
// A tenth of its age, at most `freshness`: what changed seconds ago is asked about again almost at once, what has
// not changed for an hour is trusted for a minute. Age is measured with the bucket's clock, waiting with ours.

/** One path walk asks once: look-up, open and attribute calls of one program call share an answer this young. */
export const SAME_CALL_MS = 100;

/** When the bucket last confirmed something (our monotonic clock) and how long that is good for. */
export interface Confirmation {
  readonly atMs: number;
  readonly trustMs: number;
  /** How long before the last change was. */
  readonly ageMs: number;
}

export interface TrustRule {
  readonly freshnessMs: number;
  readonly soleWriter: boolean;
}

/** `changedMs` and `dateMs` by the bucket's clock; `atMs`, by ours, is when the request began. */
export function confirmation(rule: TrustRule, changedMs: number, dateMs: number, atMs: number): Confirmation {
  const ageMs = Math.max(0, dateMs - changedMs);
  const trustMs = rule.soleWriter ? Number.POSITIVE_INFINITY : Math.min(rule.freshnessMs, ageMs / 10);
  return { atMs, trustMs, ageMs };
}

/** A confirmation whose trust has ended, of what was known nevertheless. */
export function ended(confirmed: Confirmation): Confirmation {
  return { ...confirmed, atMs: Number.NEGATIVE_INFINITY, trustMs: 0 };
}

/** Milliseconds of trust that remain for the kernel; 0 when it should ask at the next use. */
export function remainingTrustMs(confirmed: Confirmation | undefined, nowMs: number): number {
  if (confirmed === undefined) return 0;
  return Math.max(0, confirmed.atMs + confirmed.trustMs - nowMs);
}

/**
 * Whether every look-up asks (`--freshness 0`): then an open sees whatever was closed before it began, on any machine. The
 * kernel looks a name up before each open, so the open itself may go by the answer of its look-up.
 */
export function asksAlways({ freshnessMs, soleWriter }: TrustRule): boolean {
  return freshnessMs === 0 && !soleWriter;
}

/** Whether an operation that starts now may rely on the confirmation. */
export function isTrusted(confirmed: Confirmation | undefined, nowMs: number): boolean {
  return confirmed !== undefined && nowMs < confirmed.atMs + Math.max(confirmed.trustMs, SAME_CALL_MS);
}
