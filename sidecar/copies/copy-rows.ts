// A copy as a row of copies.db, and what of a row is understood again.

import type { Expected, ObjectInfo, ObjectProperties } from "../bucket/bucket.ts";
import type { ByteRange } from "../lib/extents.ts";
import type { Copy } from "./copy.ts";
import type { Row, Statement } from "./database.ts";
import { decodeVersion, encodeVersion } from "./version-record.ts";

/** What became of the bytes since they were those of the version. */
export type Changed = "nothing" | "appended" | "anywhere";

/** What a failed upload was to do, for whoever does it later. */
export interface Intent {
  /** What it was to replace; undefined if that is not known, or nothing that could be replaced by it. */
  readonly base: Expected | undefined;
  readonly properties: ObjectProperties;
  /** Ids of tries that may have arrived after all (RULES 4). */
  readonly operations: readonly string[];
}

/** `bytes` on disk; `changed` is null where only ctime tells. */
export function copyRow(
  copy: Copy,
  object: string,
  state: string,
  { bytes = 0, changed = null }: { bytes?: number; changed?: Changed | null } = {},
): Statement {
  const { version, present } = copy;
  return {
    sql: `INSERT OR REPLACE INTO copies (id, object, state, generation, version, present, bytes, used_ms, changed)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    values: [
      copy.id,
      object,
      state,
      version?.generation ?? null,
      version === undefined ? null : encodeVersion(version),
      present === undefined ? null : encodeRanges(present.ranges),
      bytes,
      Date.now(),
      changed,
    ],
  };
}

/** Makes a row one of bytes that are kept for a person; what the version has beyond `copy.versionEnd` is not in it. */
export function keptRow(copy: Copy, object: string, reason: string, intent: Intent): Statement {
  const { size, allocatedBytes } = copy.observe();
  copy.present?.add({ start: copy.versionEnd, end: size });
  const { sql, values } = copyRow(copy, object, "failed", { bytes: allocatedBytes, changed: "anywhere" });
  const { base, properties, operations } = intent;
  return {
    sql: sql
      .replace("changed)", "changed, error, base, properties, operations, kept_ms)")
      .replace(/\?\)$/, "?, ?, ?, ?, ?, ?)"),
    values: [
      ...values,
      reason,
      encodeExpected(base),
      JSON.stringify(properties),
      JSON.stringify(operations),
      Date.now(),
    ],
  };
}

/** How acknowledged bytes may take the place of what the bucket has: as a whole, as a change of `base`, or of nothing only. */
export type Replacing = "whole" | "edited" | "exclusive";

/** What acknowledged bytes are to become. */
export interface Owing {
  readonly object: string;
  readonly intent: Intent;
  readonly replacing: Replacing;
}

/** The row of a whole file whose bytes are owed to the bucket (RULES 11). */
export function owedRow(
  { id, version }: Pick<Copy, "id" | "version">,
  bytes: number,
  { object, intent, replacing }: Owing,
): Statement {
  const nowMs = Date.now();
  return {
    sql: `INSERT OR REPLACE INTO copies (id, object, state, generation, version, bytes, used_ms, changed,
            base, properties, operations, kept_ms, replacing)
          VALUES (?, ?, 'owed', ?, ?, ?, ?, 'anywhere', ?, ?, ?, ?, ?)`,
    values: [
      id,
      object,
      version?.generation ?? null,
      version === undefined ? null : encodeVersion(version),
      bytes,
      nowMs,
      encodeExpected(intent.base),
      JSON.stringify(intent.properties),
      JSON.stringify(intent.operations),
      nowMs,
      replacing,
    ],
  };
}

export function encodeRanges(ranges: readonly ByteRange[]): string {
  return JSON.stringify(ranges.map(({ start, end }) => [start, end]));
}

export function decodeRanges(text: string): ByteRange[] {
  return (JSON.parse(text) as [number, number][]).map(([start, end]) => ({ start, end }));
}

/** As the column `base` has it. */
export function encodeExpected(expected: Expected | undefined): string | null {
  return expected === undefined ? null : String(expected);
}

/** The version of a row; undefined if it has none. */
export function versionOfRow({ version }: Row): ObjectInfo | undefined {
  return typeof version === "string" ? decodeVersion(version) : undefined;
}

/** What the bytes of a row were to do. Of those of a crashed run only the version is known. */
export function intentOfRow(row: Row): Intent {
  const { base, properties, operations, state } = row;
  const version = versionOfRow(row);
  if ((state === "failed" || state === "owed") && typeof properties === "string")
    return {
      base: base === "absent" ? "absent" : typeof base === "string" ? BigInt(base) : undefined,
      properties: JSON.parse(properties) as ObjectProperties,
      operations: typeof operations === "string" ? (JSON.parse(operations) as string[]) : [],
    };
  const { contentType, metadata } = version ?? {};
  // A failed upload that the first version noted may have been meant to replace something, but did not say what.
  const made = state === "failed" ? undefined : "absent";
  return { base: version?.generation ?? made, properties: { contentType, metadata }, operations: [] };
}
