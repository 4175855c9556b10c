// Names of which there are few, so that operations meet: the same name is a file, then a folder, then a link.

import fc from "fast-check";
import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import path from "node:path";

/** `a-` and `a0` stand just before and just behind `a/…` in a bucket; `x.lock` is in the bucket as soon as it is made. */
const COMPONENTS = [
  { weight: 6, arbitrary: fc.constant("a") },
  { weight: 5, arbitrary: fc.constant("b") },
  { weight: 4, arbitrary: fc.constant("d") },
  { weight: 1, arbitrary: fc.constant("a-") },
  { weight: 1, arbitrary: fc.constant("a0") },
  { weight: 1, arbitrary: fc.constant("x.lock") },
  { weight: 1, arbitrary: fc.constant("ü #%?+") },
];

/** One name. */
export const component = fc.oneof(...COMPONENTS);

/** A path as drawn: one by its components, or the so-manieth of those that exist. */
export type DrawnPath = { readonly named: string } | { readonly existing: number };

const named = fc
  .array(component, { minLength: 1, maxLength: 3 })
  .map((components) => ({ named: components.join("/") }));

export const drawnPath: fc.Arbitrary<DrawnPath> = fc.oneof(
  { weight: 3, arbitrary: named },
  { weight: 4, arbitrary: fc.nat({ max: 1000 }).map((existing) => ({ existing })) },
);

/** For what is to be made: mostly a name in a folder that exists or right at the top. */
export const freshPath: fc.Arbitrary<DrawnPath & { readonly below?: number }> = fc.oneof(
  { weight: 3, arbitrary: named },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat({ max: 1000 }), component).map(([below, last]) => ({
      named: last,
      below,
    })),
  },
);

export interface Found {
  readonly path: string;
  readonly status: BigIntStats;
}

/** Everything below a folder, in the order of names. */
export function everythingBelow(root: string, prefix = ""): Found[] {
  return readdirSync(path.join(root, prefix))
    .sort()
    .flatMap((name) => {
      const each = prefix === "" ? name : `${prefix}/${name}`;
      const status = lstatSync(path.join(root, each), { bigint: true });
      return [{ path: each, status }, ...(status.isDirectory() ? everythingBelow(root, each) : [])];
    });
}
