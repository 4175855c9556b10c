// The attributes of a served version: what is stored with it, or what was set here since and is on its way there.

import type { Attributes } from "../filesystem.ts";
import { decodeAttributes, type OwnerAndMode } from "../metadata.ts";
import { isFile } from "../nodes.ts";
import type { ServedVersion } from "./served-nodes.ts";

const NS_PER_MS = 1_000_000n;
const STAT_BLOCK_BYTES = 512;

export function versionAttributes(served: ServedVersion, defaults: OwnerAndMode): Attributes {
  const { id, version, node } = served;
  const stored = decodeAttributes(version, defaults);
  // Who may read is decided by what was last set here, from then on. The time of a file that is being written belongs
  // to its next version.
  const { uid, gid, mode } = node ?? stored;
  const owed = node?.patchOwed === true && !(isFile(node) && node.local) ? node : undefined;
  const { modifyTimeNs } = owed ?? stored;
  const size = stored.kind === "file" ? version.size : Buffer.byteLength(stored.linkTarget ?? "");
  return {
    inode: id,
    kind: stored.kind,
    uid,
    gid,
    mode,
    size,
    blocks: Math.ceil(size / STAT_BLOCK_BYTES),
    linkCount: 1,
    modifyTimeNs,
    accessTimeNs: modifyTimeNs,
    changeTimeNs: BigInt(version.updatedMs) * NS_PER_MS,
    deviceNumber: stored.deviceNumber ?? 0,
  };
}
