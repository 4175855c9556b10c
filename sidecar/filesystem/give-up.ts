// A file whose upload failed, and that nobody has open any more: from now on its name shows what the bucket has, and its
// bytes are kept aside (RULES 10).

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { intentOf } from "./intent.ts";
import { decodeAttributes } from "./metadata.ts";
import type { FileNode } from "./nodes.ts";

/** Resolves when the bytes are kept. The last handle must be gone. */
export async function giveUpSaving(node: FileNode, context: Context): Promise<void> {
  const { store, tree, kernel } = context;
  const { copy, parent, name, version, saveError } = node;
  node.saveError = undefined;
  if (copy === undefined || copy.retired) return;
  const elsewhere = node.conflict ?? node.following?.object;
  if (elsewhere !== undefined && copy.changed()) {
    node.copy = undefined;
    return store.keepFailed(copy, elsewhere.name, messageOf(saveError), intentOf(node, context));
  }
  if (parent === undefined) return;
  const object = tree.objectName(node);
  const intent = intentOf(node, context);
  node.fetcher?.stop();
  const before = context.witness().giveBack(node);
  node.copy = before?.copy;
  node.fetcher = before?.fetcher;
  node.lastSummed = undefined;
  node.unsureAppend = undefined;
  node.contentSerial += 1;
  if (version === undefined) tree.detach(node);
  else {
    Object.assign(node, ownAttributes(version, context));
    node.confirmed = undefined;
  }
  void kernel().entryChanged(parent.id, name);
  await store.keepFailed(copy, object, messageOf(saveError), intent);
}

/** What an error says, for the list of kept bytes. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function ownAttributes(
  version: ObjectInfo,
  context: Context,
): Pick<FileNode, "uid" | "gid" | "mode" | "modifyTimeNs" | "extended"> {
  const { uid, gid, mode, modifyTimeNs } = decodeAttributes(version, context.fileDefaults);
  return { uid, gid, mode, modifyTimeNs, extended: undefined };
}
