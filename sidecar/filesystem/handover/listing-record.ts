// An open folder as handover.db keeps it: which one, and the listing its positions refer to.

import type { InodeId } from "../filesystem.ts";
import { KINDS, type SpooledEntry } from "../listing-spool.ts";

/** Entries in three columns: thousands of them are kept and read back in a millisecond. */
interface ListingRecord {
  /** Names, each followed by a slash, which no name has in it. */
  readonly names: string;
  readonly inodes: Float64Array;
  readonly kinds: Uint8Array;
  /** Of the listing; more than there are names if these will not be asked for. */
  readonly length: number;
}

export interface OpenDirectoryRecord {
  readonly inode: InodeId;
  /** Undefined until the first read. */
  readonly listing: ListingRecord | undefined;
}

export function encodeListing(entries: readonly SpooledEntry[], length: number): ListingRecord {
  return {
    names: entries.map(({ name }) => `${name}/`).join(""),
    inodes: Float64Array.from(entries, ({ inode }) => inode),
    kinds: Uint8Array.from(entries, ({ kind }) => KINDS.indexOf(kind)),
    length,
  };
}

/** As long as the listing was; places nobody will ask for are empty. */
export function decodeListing({ names, inodes, kinds, length }: ListingRecord): SpooledEntry[] {
  const entries = names
    .split("/")
    .slice(0, -1)
    .map((name, index) => ({
      name,
      inode: (inodes[index] ?? 0) as InodeId,
      kind: KINDS[kinds[index] ?? 0] ?? "file",
    }));
  return Object.assign(entries, { length });
}
