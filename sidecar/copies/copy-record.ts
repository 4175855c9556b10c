// A copy as a restarted worker must know it: all that cannot be seen in its file.

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { ByteRange } from "../lib/extents.ts";
import type { Stamp } from "./copy.ts";

export interface CopyRecord {
  readonly id: string;
  readonly version: ObjectInfo | undefined;
  /** Ranges that are here; undefined: all of it. */
  readonly present: readonly ByteRange[] | undefined;
  readonly versionEnd: number;
  readonly dirty: boolean;
  readonly mayBeMapped: boolean;
  readonly changedUnseen: boolean;
  readonly promised: boolean;
  readonly stamp: Stamp;
  /** Where the first change is since the copy last equalled a version, and whether any was not put at the end. */
  readonly changedFrom: number;
  readonly placed: boolean;
}
