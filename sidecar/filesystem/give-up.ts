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
  if (elsewhere === undefined && (await keepsAcknowledged(node, context, saveError))) return;
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

/**
 * With --write-back: what was acknowledged before stays the file's, whatever became of what was written after it. False if
 * the bucket has what was acknowledged, or nothing was.
 */
async function keepsAcknowledged(node: FileNode, context: Context, saveError: unknown): Promise<boolean> {
  if (context.owing() === undefined || node.parent === undefined) return false;
  return node.acknowledging.run(async () => {
    const { store, tree, kernel, journal } = context;
    const { owed, copy, parent, name } = node;
    if (owed === undefined || parent === undefined || !tree.isAttached(node)) return false;
    if (!owed.aside || copy === undefined) return true;
    const intent = intentOf(node, context);
    node.copy = store.adopt(owed.id, copy.version);
    node.owed = { ...owed, aside: false, stamp: { changedNs: 0n, size: 0 }, rested: false };
    node.fetcher = undefined;
    node.lastSummed = undefined;
    node.contentSerial += 1;
    journal.note(node);
    void kernel().entryChanged(parent.id, name);
    await store.keepFailed(copy, tree.objectName(node), messageOf(saveError), intent);
    return true;
  });
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
