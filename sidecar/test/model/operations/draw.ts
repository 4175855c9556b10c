// What several groups of operations draw from.

import fc from "fast-check";

export const who = fc.constantFrom("A" as const, "A" as const, "B" as const);

/** The so-manieth of what there is, whatever that is; also what tells contents apart. */
export const index = fc.nat({ max: 1000 });

export const mode = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom(0o666, 0o644, 0o664, 0o777) },
  { weight: 2, arbitrary: fc.constantFrom(0o600, 0o400, 0o000, 0o4755, 0o2755, 0o1777) },
);

const MIB = 1 << 20;

/** Sizes and positions: mostly small, now and then around a page, and seldom around one of our own limits. */
export const size = fc.oneof(
  { weight: 60, arbitrary: fc.nat({ max: 300 }) },
  { weight: 12, arbitrary: fc.constantFrom(4095, 4096, 4097, 10_000, 131_072, 131_073) },
  { weight: 6, arbitrary: around(1 * MIB) },
  { weight: 2, arbitrary: around(4 * MIB) },
  { weight: 2, arbitrary: around(8 * MIB) },
  { weight: 1, arbitrary: around(64 * MIB) },
);

/** How much is written at once. */
export const length = fc.oneof(
  { weight: 40, arbitrary: fc.nat({ max: 200 }) },
  { weight: 6, arbitrary: fc.constantFrom(4096, 5000, 131_072, 200_000) },
  { weight: 2, arbitrary: fc.constantFrom(MIB, MIB + 1, 2 * MIB + 4097) },
);

function around(limit: number): fc.Arbitrary<number> {
  return fc.constantFrom(limit - 1, limit, limit + 1);
}
