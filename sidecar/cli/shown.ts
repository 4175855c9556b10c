// Sizes, times and names as a person reads them.

/** "1.2 MiB"; the exact number below 1 KiB. */
export function shownSize(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  if (unit === 0) return bytes === 1 ? "1 byte" : `${bytes} bytes`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** "2026-11-26 14:33:01" in the time of this machine; "unknown" if it is. */
export function shownTime(ms: number | undefined): string {
  if (ms === undefined) return "unknown";
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19).replace("T", " ");
}

/** A name that cannot make the terminal do anything. */
export function shownName(name: string): string {
  // Control characters and those that change the direction of writing.
  return /[\p{Cc}\p{Cf}\u2028\u2029]/u.test(name)
    ? JSON.stringify(name).replace(/[\p{Cc}\p{Cf}]/gu, codeOf)
    : name;
}

function codeOf(letter: string): string {
  return `\\u{${letter.codePointAt(0)?.toString(16) ?? ""}}`;
}

/** "2 files", "1 file". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
