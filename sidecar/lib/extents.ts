// A set of byte ranges: sorted, never touching or overlapping.

/** Bytes from `start` up to but not including `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export class Extents {
  #ranges: ByteRange[];

  constructor(ranges: Iterable<ByteRange> = []) {
    this.#ranges = [];
    for (const range of ranges) this.add(range);
  }

  get ranges(): readonly ByteRange[] {
    return this.#ranges;
  }

  /** Number of bytes in the set. */
  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  add({ start, end }: ByteRange): void {
    if (start >= end) return;
    const before = this.#ranges.filter((range) => range.end < start);
    const after = this.#ranges.filter((range) => range.start > end);
    const touching = this.#ranges.slice(before.length, this.#ranges.length - after.length);
    const merged = {
      start: Math.min(start, touching.at(0)?.start ?? start),
      end: Math.max(end, touching.at(-1)?.end ?? end),
    };
    this.#ranges = [...before, merged, ...after];
  }

  remove({ start, end }: ByteRange): void {
    if (start >= end) return; // it would part a range into two that touch
    this.#ranges = this.#ranges.flatMap((range) => {
      const left = { start: range.start, end: Math.min(range.end, start) };
      const right = { start: Math.max(range.start, end), end: range.end };
      return [left, right].filter((part) => part.start < part.end);
    });
  }

  has({ start, end }: ByteRange): boolean {
    return start >= end || this.#ranges.some((range) => range.start <= start && end <= range.end);
  }

  /** The parts of `within` that are not in the set, in order. */
  gaps(within: ByteRange): ByteRange[] {
    const gaps: ByteRange[] = [];
    let position = within.start;
    for (const range of this.#ranges) {
      if (range.end <= position) continue;
      if (range.start >= within.end) break;
      if (range.start > position) gaps.push({ start: position, end: Math.min(range.start, within.end) });
      position = Math.max(position, range.end);
    }
    if (position < within.end) gaps.push({ start: position, end: within.end });
    return gaps;
  }
}
