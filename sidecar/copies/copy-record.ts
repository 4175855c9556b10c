// A copy as a restarted worker must know it: all that cannot be seen in its file.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { Extents, type ByteRange } from "../lib/extents.ts";
import { Copy } from "./copy.ts";
import { type Stamp } from "./stamp.ts";

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
  readonly notedAsChanging: boolean;
  /** Its row is to be told of the next change. */
  readonly noting: boolean;
  readonly lacksFrom: number;
  readonly stamp: Stamp;
  /** Where the first change is since the copy last equalled a version, and whether any was not put at the end. */
  readonly changedFrom: number;
  readonly placed: boolean;
}

/** What `restoreCopy` needs beside the file. */
export function recordOfCopy(copy: Copy): CopyRecord {
  const { id, version, present, versionEnd, dirty, mayBeMapped, changedUnseen, promised, stamp } = copy;
  const { notedAsChanging, lacksFrom, changedFrom } = copy;
  return {
    id,
    version,
    versionEnd,
    dirty,
    mayBeMapped,
    changedUnseen,
    promised,
    notedAsChanging,
    noting: copy.noteChanging !== undefined,
    lacksFrom,
    present: present?.ranges.map(({ start, end }) => ({ start, end })),
    stamp: { changedNs: stamp.changedNs, size: stamp.size },
    changedFrom,
    placed: !copy.onlyAppendedTo,
  };
}

/** As an earlier worker left it. Throws if the file is gone. */
export function restoreCopy(path: string, record: CopyRecord): Copy {
  const { id, version, present, versionEnd, dirty, mayBeMapped, changedUnseen, promised, stamp } = record;
  const { notedAsChanging, lacksFrom, changedFrom, placed } = record;
  const copy = new Copy(id, path, {
    create: false,
    ...(version === undefined ? {} : { version }),
    ...(present === undefined ? {} : { present: new Extents(present) }),
    ...(dirty ? { changed: { from: changedFrom, placed } } : {}),
  });
  Object.assign(copy, { versionEnd, dirty, mayBeMapped, changedUnseen, promised, stamp });
  return Object.assign(copy, { notedAsChanging, lacksFrom });
}
