// What goes on after a start: work an earlier run had acknowledged, and what an earlier worker of this mount was doing.

import { setTimeout as delay } from "node:timers/promises";
import { deserialize } from "node:v8";
import { isBucketError } from "../../bucket/errors.ts";
import type { Context } from "../context.ts";
import type { OpenDirectories } from "../directories.ts";
import type { HandleId, InodeId } from "../filesystem.ts";
import { isDirectory, type FileNode, type Node } from "../nodes.ts";
import type { Face } from "../../handover/journal.ts";
import type { Parts } from "../parts.ts";
import type { HandoverDatabase } from "../../handover/database.ts";
import type { OpenDirectoryRecord } from "./listing-record.ts";
import type { Restored } from "./restore.ts";
import { decodeServed, type ServedRecord } from "./served-record.ts";

const RETRY_MS = 5000;

/** Folders that are open, with the listings their readers are in; `find` finds a folder by its number. */
export function restoreDirectories(
  database: HandoverDatabase,
  face: Face,
  directories: OpenDirectories,
  find: (inode: InodeId) => Node | undefined,
): void {
  const rows = database.rows("SELECT handle, record FROM directories WHERE face = ?", face);
  for (const { handle, record } of rows) {
    if (!(record instanceof Uint8Array)) continue;
    const opened = deserialize(record) as OpenDirectoryRecord;
    const directory = find(opened.inode);
    if (isDirectory(directory)) directories.restore(Number(handle) as HandleId, directory, opened);
  }
}

/** What the kernel of the serve mount knows by number. */
export function* servedRecords(database: HandoverDatabase): Iterable<readonly [InodeId, ServedRecord]> {
  for (const { inode, record } of database.rows("SELECT inode, record FROM served"))
    if (record instanceof Uint8Array) yield [Number(inode) as InodeId, decodeServed(record)];
}

/**
 * Resolves when what an earlier run began is done, as far as the tree must know of it. Under a living mount programs wait:
 * trouble with the bucket is waited out there, and what nobody waits for goes on in the background.
 */
export async function resumeOwed(
  context: Context,
  parts: Parts,
  restored: Restored | undefined,
): Promise<void> {
  const { owed, background } = context;
  const again = restored !== undefined;
  const moves = async (): Promise<void> => {
    await parts.folders.resume(await owed.renames());
    await parts.exchanger.resume(await owed.exchanges());
  };
  if (again) await stubbornly(context, moves);
  else await moves();
  const rest = await restOf(context, parts, restored);
  if (again) background.start("resume what is owed", () => stubbornly(context, rest));
  else await rest();
  for (const { node, parent, name } of restored?.postponed ?? [])
    parts.namespace.awaitReaders(parent, node, name);
  for (const node of restored?.patches ?? [])
    if (context.tree.isAttached(node)) background.start("owe patch", () => parts.patcher.owe(node));
  for (const node of restored?.files ?? []) restUnlessUsed(node, parts);
  if (restored !== undefined) await parts.writeBack?.restore(restored.files);
  parts.staleTails.watch();
}

/** Goes on with what is done with files that nobody writes to any more. */
function restUnlessUsed(node: FileNode, { resting, lateStores }: Parts): void {
  if (node.copy === undefined) return;
  if (node.opened.size === 0) resting.soon(node);
  else if (node.writers === 0) lateStores.watch(node);
}

/** What an earlier run owed, without what is the affair of a node that is here again. */
async function restOf(
  { owed, tree }: Context,
  parts: Parts,
  restored: Restored | undefined,
): Promise<() => Promise<void>> {
  const waiting = new Set(restored?.postponed.map(({ node }) => node.version?.name));
  const attached = restored?.patches.filter((node) => tree.isAttached(node)) ?? [];
  const owing = new Set(attached.map((node) => tree.objectName(node)));
  const removals = (await owed.removals()).filter(({ name }) => !waiting.has(name));
  const patches = (await owed.patches()).filter(({ object }) => !owing.has(object));
  return async () => {
    await parts.tombstones.resume();
    await parts.namespace.resume(removals);
    await parts.patcher.resume(patches);
  };
}

/** Each of these can be done again from its beginning. */
async function stubbornly({ log, stopping }: Context, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBucketError(error) || stopping()) throw error;
      log.warn({ err: error }, "what is owed to the bucket is delayed");
      await delay(RETRY_MS, undefined, { ref: false });
    }
  }
}
