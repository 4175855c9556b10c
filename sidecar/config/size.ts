// Sizes as people write them: 512MiB, 10GB, 1G.

import { WrongValue } from "./usage-error.ts";

// A letter alone counts in powers of 1024, as in coreutils; with B in powers of 1000; with iB in powers of 1024.
const letters = ["", "K", "M", "G", "T"];
const pattern = /^(\d+(?:\.\d+)?) ?([KMGT])?(i?B)?$/i;
const expected = "a size with its unit, such as 512MiB, 10GB or 1G";

/** `"512MiB"` → 536870912. A number without a unit is refused, except 0. */
export function parseSize(text: string): number {
  const [, amount, letter, suffix] = pattern.exec(text.trim()) ?? [];
  if (amount === undefined) throw new WrongValue(expected);
  if (letter === undefined && (suffix === undefined ? Number(amount) !== 0 : suffix.length > 1)) {
    throw new WrongValue(expected);
  }
  const base = suffix?.length === 1 ? 1000 : 1024;
  const bytes = Math.round(Number(amount) * base ** letters.indexOf(letter?.toUpperCase() ?? ""));
  if (!Number.isSafeInteger(bytes)) throw new WrongValue("a size below 8000T, such as 512MiB");
  return bytes;
}

/** The shortest text that `parseSize` reads as exactly `bytes`. */
export function formatSize(bytes: number): string {
  for (const [suffix, base] of [
    ["iB", 1024],
    ["B", 1000],
  ] as const) {
    for (let power = letters.length - 1; power > 0; power--) {
      if (bytes > 0 && bytes % base ** power === 0)
        return `${bytes / base ** power}${letters[power]}${suffix}`;
    }
  }
  return `${bytes}B`;
}
