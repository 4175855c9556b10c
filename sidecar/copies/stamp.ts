// What a local file looks like from outside, by which one state of it is told from another (RULES 2).

/** What tells one state of a file from another: any store moves ctime (RULES 2). */
export interface Stamp {
  readonly changedNs: bigint;
  readonly size: number;
}

export interface Observation extends Stamp {
  readonly modifiedNs: bigint;
  readonly allocatedBytes: number;
}

export function sameStamp(one: Stamp, other: Stamp): boolean {
  return one.changedNs === other.changedNs && one.size === other.size;
}
