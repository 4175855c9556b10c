// Times as people write them: 500ms, 10s, 2m.

import { WrongValue } from "./usage-error.ts";

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const pattern = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/;

// Timers count in signed 32-bit milliseconds (24.8 days); nothing here is meant to wait longer than a day.
const longestMs = 24 * unitMs.h;

/** `"2m"` → 120000. A number without a unit is refused, except 0. */
export function parseDuration(text: string): number {
  if (text.trim() === "0") return 0;
  const [, amount, unit] = pattern.exec(text.trim()) ?? [];
  if (amount === undefined) throw new WrongValue("a time with its unit, such as 500ms, 10s or 2m");
  const durationMs = Math.round(Number(amount) * unitMs[unit as keyof typeof unitMs]);
  if (durationMs > longestMs) throw new WrongValue("a time of at most 24h, such as 60s");
  return durationMs;
}

/** As `parseDuration`, but not less than a second: for limits that would refuse everything if they were 0. */
export function parseDeadline(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs < 1000) throw new WrongValue("a time of at least 1s, such as 25s");
  return durationMs;
}

/** The shortest text that `parseDuration` reads as exactly `durationMs`. */
export function formatDuration(durationMs: number): string {
  for (const unit of ["h", "m", "s"] as const) {
    if (durationMs > 0 && durationMs % unitMs[unit] === 0) return `${durationMs / unitMs[unit]}${unit}`;
  }
  return `${durationMs}ms`;
}
