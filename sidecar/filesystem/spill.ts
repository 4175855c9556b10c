// Files that are written in one pass and have no room on the disk (RULES 12): what is written so far becomes an object that
// nobody sees, and leaves the disk; what follows is put behind that, as often as it takes. At the close all of it gets its name.
//
// Only files written from nothing, and only while every write goes through us: a hole that the kernel reads by itself would be
// zeros.

import { Fetcher } from "../copies/fetch.ts";
import { takeSnapshot, takeTail, type Snapshot } from "../copies/snapshot.ts";
import type { ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import type { FileNode } from "./nodes.ts";
import { insertTail, removeTail } from "./tails.ts";

/** Less is not worth the requests. */
const PIECE_MIN_BYTES = 1 << 20;

/** What is sent of a file that has spilled: the object it spilled into, and what was written since. */
export interface Spilled extends Omit<Snapshot, "source"> {
  readonly parts: readonly [ObjectInfo, ...ObjectInfo[]];
}

/** Makes room for `bytes` more of the file. False if that cannot be done. */
export function spill(node: FileNode, bytes: number, context: Context): Promise<boolean> {
  return node.changes.run(async () => {
    if (await context.store.space.allows(bytes)) return true; // somebody else has
    const { copy, spilled } = node;
    if (copy === undefined || !maySpill(node, context)) return false;
    const before = copy.whole ? undefined : spilled; // it may have been cut off, and written anew
    if (node.size - (before?.size ?? 0) < PIECE_MIN_BYTES) return false;
    const object = context.tree.objectName(node);
    const made =
      before === undefined ? await spillFirst(node, context) : await spillMore(node, before, context);
    if (made === undefined) return false;
    const given = await copy.giveAway(made, () => context.store.recordParts(copy, object));
    if (!given) {
      context.background.start("remove tail", () => removeTail(context, made));
      return false;
    }
    node.spilled = made;
    node.fetcher?.stop();
    node.fetcher = new Fetcher(context.bucket, copy);
    context.journal.note(node);
    if (spilled === undefined)
      context.log.info({ object }, "a file is larger than the room for it; it is uploaded as it is written");
    else context.background.start("remove tail", () => removeTail(context, spilled));
    return context.store.space.allows(bytes);
  });
}

/** What is to be sent; undefined if what has spilled was changed since, or nothing has. `dispose` removes the parts. */
export async function takeSpilled(node: FileNode, context: Context): Promise<Spilled | undefined> {
  const { copy, spilled } = node;
  if (copy === undefined || spilled === undefined || copy.changedFrom < spilled.size) return undefined;
  const tail = await takeTail(copy, spilled);
  if (tail === undefined || copy.changedFrom < spilled.size) return undefined;
  const { stamp, size, crc32c, rested } = tail;
  const rest = size > spilled.size ? [await insertTail(context, tail)] : [];
  const parts: Spilled["parts"] = [spilled, ...rest];
  const dispose = async (): Promise<void> => {
    for (const part of rest) context.background.start("remove tail", () => removeTail(context, part));
  };
  return { parts, stamp, size, crc32c, rested, dispose };
}

/** The file has its name, or none any more: what it had spilled is nobody's. */
export function forgetSpilled(node: FileNode, context: Context): void {
  const { spilled } = node;
  if (spilled === undefined) return;
  node.spilled = undefined;
  context.background.start("remove tail", () => removeTail(context, spilled));
}

function maySpill(node: FileNode, { tree }: Context): boolean {
  const { copy, access, writtenWhole, conflict, following, owed } = node;
  const alone =
    conflict === undefined && following === undefined && owed === undefined && tree.isAttached(node);
  return alone && access === "daemon" && writtenWhole && copy !== undefined && !copy.changedUnseen;
}

async function spillFirst({ copy }: FileNode, context: Context): Promise<ObjectInfo | undefined> {
  if (copy?.whole !== true) return undefined;
  const snapshot = await takeSnapshot(copy, context.store.clonePath(copy));
  try {
    return await insertTail(context, snapshot);
  } finally {
    await snapshot.dispose();
  }
}

async function spillMore(
  { copy }: FileNode,
  spilled: ObjectInfo,
  context: Context,
): Promise<ObjectInfo | undefined> {
  const { bucket, nextOperationId } = context;
  if (copy === undefined || copy.changedFrom < spilled.size) return undefined;
  const tail = await takeTail(copy, spilled);
  if (tail === undefined || copy.changedFrom < spilled.size) return undefined;
  const part = await insertTail(context, tail);
  try {
    const name = `${part.name}-and-before`;
    const options = { operationId: nextOperationId() };
    return (await bucket.compose(name, [spilled, part], "absent", {}, options)).value;
  } finally {
    context.background.start("remove tail", () => removeTail(context, part));
  }
}
