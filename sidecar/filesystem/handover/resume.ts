// What goes on after a start: work an earlier run had acknowledged, and what an earlier worker of this mount was doing.

import { deserialize } from "node:v8";
import type { Context } from "../context.ts";
import type { OpenDirectories } from "../directories.ts";
import type { HandleId, InodeId } from "../filesystem.ts";
import { isDirectory, type Node } from "../nodes.ts";
import type { Face } from "../../handover/journal.ts";
import type { Parts } from "../parts.ts";
import type { HandoverDatabase } from "../../handover/database.ts";
import type { OpenDirectoryRecord } from "./listing-record.ts";
import type { Restored } from "./restore.ts";
import { decodeServed, type ServedRecord } from "./served-record.ts";

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
 * Resolves when what an earlier run began is done. What a node of an earlier worker owes is its own affair: it is begun,
 * and not waited for.
 */
export async function resumeOwed(
  { owed, tree, background }: Context,
  parts: Parts,
  restored: Restored | undefined,
): Promise<void> {
  await parts.folders.resume(await owed.renames());
  await parts.exchanger.resume(await owed.exchanges());
  const waiting = new Set(restored?.postponed.map(({ node }) => node.version?.name));
  await parts.namespace.resume((await owed.removals()).filter(({ name }) => !waiting.has(name)));
  for (const { node, parent, name } of restored?.postponed ?? [])
    parts.namespace.awaitReaders(parent, node, name);
  const attached = restored?.patches.filter((node) => tree.isAttached(node)) ?? [];
  const owing = new Set(attached.map((node) => tree.objectName(node)));
  await parts.patcher.resume((await owed.patches()).filter(({ object }) => !owing.has(object)));
  for (const node of attached) background.start("owe patch", () => parts.patcher.owe(node));
  for (const node of restored?.files ?? [])
    if (node.opened.size === 0 && node.copy !== undefined) parts.resting.soon(node);
  parts.staleTails.watch();
}
