// The four conditions a request may put on the object it is about, and the same four on a copy's source.
//
// A missing object has generation 0 and metageneration 0: "match 0" means "must not exist", "not match 0" means
// "must exist". A failed match is 412, a failed not-match is 304.

import { conditionNotMet, invalid, notModified } from "./api-error.ts";

export interface Versioned {
  readonly generation: number;
  readonly metageneration: number;
}

export interface Preconditions {
  readonly generationMatch?: number | undefined;
  readonly generationNotMatch?: number | undefined;
  readonly metagenerationMatch?: number | undefined;
  readonly metagenerationNotMatch?: number | undefined;
}

/** Conditions on the object a request reads or writes. */
export function preconditionsOf(query: URLSearchParams): Preconditions {
  return conditions(query, "if");
}

/** Conditions on the source of a copy, rewrite or move. */
export function sourcePreconditionsOf(query: URLSearchParams): Preconditions {
  return conditions(query, "ifSource");
}

/** Throws 412 or 304 unless `current` (undefined: no such object) is as the request expects. */
export function checkPreconditions(current: Versioned | undefined, expected: Preconditions): void {
  const generation = current?.generation ?? 0;
  const metageneration = current?.metageneration ?? 0;
  if ((expected.generationMatch ?? generation) !== generation) throw conditionNotMet();
  if ((expected.metagenerationMatch ?? metageneration) !== metageneration) throw conditionNotMet();
  if (expected.generationNotMatch === generation) throw notModified();
  if (expected.metagenerationNotMatch === metageneration) throw notModified();
}

/** An int64 parameter. Generations stay far below 2^53, so a number that is not exact matches nothing, rightly. */
export function integerParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^-?\d+$/.test(text)) throw invalid(`Invalid value for ${name}: ${text}`);
  return Number(text);
}

function conditions(query: URLSearchParams, start: string): Preconditions {
  return {
    generationMatch: integerParameter(query, `${start}GenerationMatch`),
    generationNotMatch: integerParameter(query, `${start}GenerationNotMatch`),
    metagenerationMatch: integerParameter(query, `${start}MetagenerationMatch`),
    metagenerationNotMatch: integerParameter(query, `${start}MetagenerationNotMatch`),
  };
}
