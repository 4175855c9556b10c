// What an object says of its attributes, taken over by the node that stands for it.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { decodeAttributes, type OwnerAndMode } from "./metadata.ts";
import { isDirectory, SpecialNode, type Node } from "./nodes.ts";

/** The node is this object from now on. Answers whether programs see other attributes than before. */
export function takeAttributes(node: Node, object: ObjectInfo, defaults: OwnerAndMode): boolean {
  const { uid, gid, mode, modifyTimeNs, linkTarget, deviceNumber } = decodeAttributes(object, defaults);
  const changed =
    node.uid !== uid || node.gid !== gid || node.mode !== mode || node.modifyTimeNs !== modifyTimeNs;
  Object.assign(node, { uid, gid, mode, extended: undefined });
  if (isDirectory(node)) node.placeholder = object;
  else node.version = object;
  if (!isDirectory(node) || object.metadata["mtime"] !== undefined) node.modifyTimeNs = modifyTimeNs;
  if (changed) {
    node.changeTimeNs = BigInt(object.updatedMs) * 1_000_000n;
    node.accessTimeNs = node.modifyTimeNs;
  }
  if (node instanceof SpecialNode) Object.assign(node, { linkTarget, deviceNumber: deviceNumber ?? 0 });
  return changed;
}
