// Which entries a person means.

import { UsageError } from "../config/usage-error.ts";
import type { PendingEntry } from "../control/requests.ts";

/** Fewer letters of an id would be a word like any other. */
const ID_LETTERS_MIN = 6;

/** Each word is an id, the beginning of one, or a name: below the mount, or in the bucket. Throws UsageError. */
export function chosen(entries: readonly PendingEntry[], words: readonly string[]): PendingEntry[] {
  const found = words.flatMap((word) => {
    const matching = meant(entries, word);
    if (matching.length === 0)
      throw new UsageError(
        `Nothing of that id or name is kept: ${word}.`,
        "`sidemount pending` lists what is.",
      );
    return matching;
  });
  return [...new Set(found)];
}

/** An id stands for itself; a name for the newest bytes of that name. */
function meant(entries: readonly PendingEntry[], word: string): PendingEntry[] {
  const byId = entries.filter(
    ({ id }) => id === word || (word.length >= ID_LETTERS_MIN && id.startsWith(word)),
  );
  if (byId.length === 1) return byId;
  const byName = entries.filter(({ name, object }) => name === word || object === word);
  return byName.slice(-1);
}

/** Of each name the newest bytes that nothing has superseded. */
export function newest(entries: readonly PendingEntry[]): PendingEntry[] {
  const byName = new Map<string, PendingEntry>();
  for (const entry of entries) if (entry.supersededMs === undefined) byName.set(entry.object, entry);
  return [...byName.values()];
}
