// A file that takes the place of another under its name: as for an overwrite, nginx must not take it for the one whose
// place it has (RULES 15).

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import type { FileNode } from "./nodes.ts";
import type { VersionTimes } from "./version-times.ts";

/** What had the name before. */
export interface Displaced {
  readonly version: ObjectInfo | undefined;
  readonly modifyTimeNs: bigint;
}

/** Gives `node`, which is to be `object`, another time if it could be taken for what was displaced. The patch is then owed. */
export function keepTimesApart(
  context: Context,
  times: VersionTimes,
  node: FileNode,
  object: string,
  displaced: Displaced | undefined,
): void {
  const { version } = node;
  if (version === undefined) return; // its upload will
  if (displaced?.version?.size === version.size) {
    if (displaced.version.crc32c === version.crc32c) return;
    times.note(object, version.size, displaced.modifyTimeNs);
  }
  const apart = node.timeGiven ? node.modifyTimeNs : times.apart(object, version.size, node.modifyTimeNs);
  times.note(object, version.size, apart);
  if (apart === node.modifyTimeNs) return;
  node.modifyTimeNs = apart;
  node.patchOwed = true; // whoever gave it the name sees to it
  void context.kernel().attributesChanged(node.id);
  context.witness().attributesChanged(node);
}
