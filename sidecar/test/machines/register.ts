// Whether what programs saw of one name can be put in an order in which each read sees the last write before it.
//
// Every value is written once. Then it is enough to look at the times between which each value must have been there
// (P. Gibbons and E. Korach, Testing Shared Memories, SIAM J. Comput. 26, 1997): no two such times overlap, and no value
// whose accesses all overlap was there wholly within such a time of another.

/** A read or a write of one name. It took effect at one moment from `began` to `ended`. */
export interface Access {
  readonly what: "read" | "write";
  readonly value: string;
  readonly began: number;
  readonly ended: number;
  /** What it was, for whoever reads the contradiction. */
  readonly told: string;
}

interface Zone {
  readonly value: string;
  readonly firstEnd: Access;
  readonly lastBegin: Access;
}

/** Contradictions, in words; none if there is such an order. A value that nobody wrote was there from the beginning. */
export function orderContradictions(accesses: readonly Access[]): string[] {
  const found: string[] = [];
  const values = new Map<string, Access[]>();
  for (const access of accesses) values.set(access.value, [...(values.get(access.value) ?? []), access]);
  const zones: Zone[] = [];
  const unwritten: string[] = [];
  for (const [value, all] of values) {
    const write = all.find(({ what }) => what === "write");
    if (write === undefined) unwritten.push(value);
    const reads = all.filter(({ what }) => what === "read");
    // Of a write that failed and that nobody saw there is nothing to say.
    if (write?.ended === Number.POSITIVE_INFINITY && reads.length === 0) continue;
    for (const read of reads)
      if (write !== undefined && read.ended < write.began)
        found.push(`${read.told} saw ${value} before ${write.told}`);
    const start = { what: "write", value, began: -1, ended: -1, told: "the beginning" } as const;
    zones.push(zoneOf(value, write === undefined ? [...all, start] : all));
  }
  if (unwritten.length > 1) found.push(`more than one value that nobody wrote: ${unwritten.join(", ")}`);
  const forward = zones
    .filter(({ firstEnd, lastBegin }) => firstEnd.ended < lastBegin.began)
    .sort((one, other) => one.firstEnd.ended - other.firstEnd.ended);
  for (const [index, zone] of forward.entries()) {
    const next = forward[index + 1];
    if (next !== undefined && next.firstEnd.ended < zone.lastBegin.began)
      found.push(
        `${zone.value} was there at the end of ${zone.firstEnd.told} and at the beginning of ${zone.lastBegin.told}; ` +
          `between them ${next.value} was there, from ${next.firstEnd.told} to ${next.lastBegin.told}`,
      );
  }
  for (const { value, firstEnd, lastBegin } of zones) {
    if (firstEnd.ended < lastBegin.began) continue;
    const around = forward.find(
      (zone) => zone.firstEnd.ended < lastBegin.began && firstEnd.ended < zone.lastBegin.began,
    );
    if (around !== undefined)
      found.push(
        `${around.value} was there at the end of ${around.firstEnd.told} and at the beginning of ` +
          `${around.lastBegin.told}, and wholly between them ${value} was: ${lastBegin.told}, ${firstEnd.told}`,
      );
  }
  return found;
}

function zoneOf(value: string, accesses: readonly Access[]): Zone {
  const firstEnd = accesses.reduce((first, each) => (each.ended < first.ended ? each : first));
  const lastBegin = accesses.reduce((last, each) => (each.began > last.began ? each : last));
  return { value, firstEnd, lastBegin };
}
