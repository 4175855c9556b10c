// What the groups of operations see of --write-back: programs have been told that bytes are stored which are not in the
// bucket yet. Whoever gives a file another name, or takes the one it has, sees to these first (RULES 11).

import type { Replacing } from "../copies/copy-rows.ts";
import { stillEquals, type Snapshot, type Summed } from "../copies/snapshot.ts";
import { sameStamp } from "../copies/stamp.ts";
import type { Stamp } from "../copies/stamp.ts";
import { runInAll } from "../lib/turn.ts";
import type { Expected } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { baseOf } from "./intent.ts";
import { isFile, type DirectoryNode, type FileNode, type Node } from "./nodes.ts";

/** The state of a file that was acknowledged last, while the bucket does not have it. */
export interface OwedState {
  /** Its row in copies.db, and the file its bytes are in. */
  readonly id: string;
  /** That file is not the one programs write to. */
  readonly aside: boolean;
  /** The state of the file's own copy that was acknowledged. */
  readonly stamp: Stamp;
  /** Whether a later change is sure to show in the stamp. */
  readonly rested: boolean;
  readonly replacing: Replacing;
  readonly bytes: number;
}

export interface Owing {
  /** Resolves when no crash can lose what the file holds now. `goesOn`: the program may go on writing to it. */
  acknowledge(node: FileNode, goesOn?: boolean): Promise<void>;
  /** The file is closed: what the bucket does not have of it is uploaded soon. */
  later(node: FileNode): void;
  /** Before somebody changes the bytes: what was acknowledged of them goes aside. `emptied`: nobody needs them in place. */
  beforeChange(node: FileNode, emptied: boolean): Promise<void>;
  /** Uploads what is owed of the file, for those who hold its turns. */
  send(node: FileNode): Promise<void>;
  /** The file is about to go from its name to `to`, where `displaced` was; its object need not be moved. */
  renaming(
    node: FileNode,
    displaced: Node | undefined,
    to: { readonly object: string; readonly base: Expected; readonly exclusive: boolean },
  ): Promise<void>;
  /** The file is about to lose its name for good. */
  unlinking(node: FileNode): Promise<void>;
  /** Attributes were set since. */
  attributesSet(node: FileNode): Promise<void>;
  /** Whether anything is owed below the folder. */
  owesBelow(directory: DirectoryNode): boolean;
  /** Resolves when nothing is that was when this was called. Rejects if nothing goes on any more. */
  sentBelow(directory: DirectoryNode): Promise<void>;
}

/** Runs `task` while nothing else changes these, nor is anything of them acknowledged. */
export function inTurnsOf<T>(nodes: readonly Node[], context: Context, task: () => Promise<T>): Promise<T> {
  const sorted = [...nodes].sort((one, other) => one.id - other.id);
  const acknowledging = context.owing() === undefined ? [] : sorted.filter(isFile);
  return runInAll(
    [...sorted.map(({ changes }) => changes), ...acknowledging.map((node) => node.acknowledging)],
    task,
  );
}

/** Before an upload of the file is tried under its name: a later run must know its object again (RULES 4). */
export async function noteTries(
  node: FileNode,
  object: string,
  { store, tree, owing }: Pick<Context, "store" | "tree" | "owing">,
): Promise<void> {
  if (owing() === undefined || !tree.isAttached(node) || tree.objectName(node) !== object) return;
  const { unsure, exclusive } = node;
  await store.owed.noteTry(object, { base: baseOf(node), operations: [...unsure], exclusive });
}

/** Of bytes that were put aside: as the file itself is, if nothing was written to it since. */
export async function asItIs(
  { owed, copy }: FileNode,
  { aside, ...summed }: Snapshot,
): Promise<Summed | undefined> {
  if (owed === undefined || copy === undefined || copy.retired || owed.id !== aside) return undefined;
  const { stamp, rested } = owed;
  await copy.mark(); // what changes from here on is later
  if (!sameStamp(copy.observe(), stamp)) return undefined;
  return (await stillEquals(copy, { ...summed, stamp, rested })) ? { ...summed, stamp, rested } : undefined;
}
