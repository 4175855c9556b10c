// --write-back: `close` and `fsync` return when the local disk has the bytes and copies.db says what is to become of them;
// the upload follows (DESIGN.md §5, RULES 11).
//
// What was acknowledged is in one file that nobody changes: the file's own copy, and as soon as somebody is about to
// write to that again, a copy aside. Only who still has a descriptor from before goes on in place, as on a local disk.

import { setTimeout as delay } from "node:timers/promises";
import { CTIME_REST_MS } from "../../copies/snapshot.ts";
import { type Copy } from "../../copies/copy.ts";
import { sameStamp } from "../../copies/stamp.ts";
import type { Owing as OwingRow, Replacing } from "../../copies/copy-rows.ts";
import type { Expected } from "../../bucket/bucket.ts";
import { refreshTimes } from "../attributes-of.ts";
import type { Context } from "../context.ts";
import { intentOf } from "../intent.ts";
import { isFile, movesEnded, type DirectoryNode, type FileNode, type Node } from "../nodes.ts";
import type { Owing, OwedState } from "../owing.ts";
import type { Resting } from "../resting.ts";
import type { Saver } from "../save.ts";
import { OwedUploads } from "./owed-uploads.ts";

/** Who opens a file for writing waits so long for an upload of it that is under way; then its bytes are copied aside. */
const UPLOAD_PATIENCE_MS = 2000;

export class WriteBack implements Owing {
  readonly #context: Context;
  readonly #saver: Saver;
  readonly #uploads: OwedUploads;
  readonly #limitBytes: number;
  readonly #deadlineMs: number;

  /** Beyond `limitBytes` a close waits for its upload; nothing waits longer than `deadlineMs` while nothing goes on. */
  constructor(
    context: Context,
    parts: { saver: Saver; resting: Resting },
    limits: { limitBytes: number; deadlineMs: number },
  ) {
    this.#context = context;
    this.#saver = parts.saver;
    this.#limitBytes = limits.limitBytes;
    this.#deadlineMs = limits.deadlineMs;
    this.#uploads = new OwedUploads(context, parts);
  }

  async acknowledge(node: FileNode, goesOn = false): Promise<void> {
    // What goes beside or behind somebody else's version, and what is not here as a whole, goes to the bucket at once.
    if (!isRecordable(node)) return this.#saveAtOnce(node);
    try {
      for (let object: string | undefined; ;) {
        await movesEnded(node);
        const recorded = await node.acknowledging.run(() => this.#record(node, goesOn, object));
        if (recorded === undefined || recorded === object) break;
        object = recorded; // once more if a folder above was renamed meanwhile
      }
    } catch (error) {
      if (error instanceof TooLargeToCopy) return this.#saveAtOnce(node);
      node.saveError = error;
      throw error;
    }
    node.saveError = undefined;
    if (node.owed === undefined) return;
    this.#uploads.add(node);
    if (this.#uploads.bytes > this.#limitBytes)
      await this.#uploads.gone([node], this.#deadlineMs).catch(() => undefined); // the disk has it all the same
  }

  later(node: FileNode): void {
    this.#uploads.add(node);
  }

  async beforeChange(node: FileNode, emptied: boolean): Promise<void> {
    if (node.acknowledging.busy) await node.acknowledging.run(() => Promise.resolve()); // what is recorded just now is owed
    if (node.owed === undefined || node.owed.aside) return;
    if (node.changes.busy) {
      const late = delay(UPLOAD_PATIENCE_MS, undefined, { ref: false });
      await Promise.race([node.changes.run(() => Promise.resolve()), late]);
    }
    const { owed, copy } = node;
    if (owed === undefined || owed.aside || copy === undefined || copy.id !== owed.id) return;
    if (emptied && !node.changes.busy) this.#leaveAside(node, owed, copy);
    else if (!(await node.acknowledging.run(() => this.#copyAside(node))))
      await this.#uploads.gone([node], this.#deadlineMs); // in no turn: the upload takes one, too
  }

  async send(node: FileNode): Promise<void> {
    if (node.owed !== undefined) await this.#uploads.sendInTurn(node);
  }

  async renaming(
    node: FileNode,
    displaced: Node | undefined,
    { object, base, exclusive }: { object: string; base: Expected; exclusive: boolean },
  ): Promise<void> {
    const { store } = this.#context;
    const gone = isFile(displaced) ? displaced.owed : undefined;
    const { owed } = node;
    if (isFile(displaced)) {
      displaced.owed = undefined;
      for (const id of displaced.unsure) node.becomeUnsure(id); // it may have arrived, and is to be replaced then
    }
    if (owed === undefined) await store.owed.settled(object);
    else {
      const replacing = exclusive ? "exclusive" : owed.replacing === "exclusive" ? "whole" : owed.replacing;
      await store.owed.rename(owed.id, { object, base, operations: [...node.unsure], replacing });
      if (replacing !== owed.replacing) node.owed = { ...owed, replacing };
    }
    if (gone?.aside === true) await store.owed.drop(gone.id);
  }

  async unlinking(node: FileNode): Promise<void> {
    const { store, tree } = this.#context;
    const { owed } = node;
    node.owed = undefined;
    if (owed === undefined) return;
    await store.owed.settled(tree.objectName(node));
    if (owed.aside) await store.owed.drop(owed.id);
  }

  async attributesSet(node: FileNode): Promise<void> {
    if (node.owed === undefined) return;
    await this.#context.store.owed.noteProperties(node.owed.id, intentOf(node, this.#context).properties);
  }

  owesBelow(directory: DirectoryNode): boolean {
    return this.#owedBelow(directory).length > 0;
  }

  sentBelow(directory: DirectoryNode): Promise<void> {
    return this.#uploads.gone(this.#owedBelow(directory), this.#deadlineMs);
  }

  /** Files with acknowledged bytes the bucket does not have. */
  get count(): number {
    return this.#uploads.count;
  }

  /** Uploads what is owed until `endMs`, and says how it goes. Answers how much is left. */
  drain(endMs: number): Promise<number> {
    return this.#uploads.drain(endMs);
  }

  /** No upload is begun any more. */
  stop(): void {
    this.#uploads.stop();
  }

  /**
   * Files of an earlier worker. What copies.db has recorded counts: between that and what the worker had noted of the file it
   * may have died.
   */
  async restore(files: readonly FileNode[]): Promise<void> {
    const { store, tree, journal } = this.#context;
    const all = await store.owed.list();
    const named = new Map(all.map((row) => [row.object, row])); // of each name the latest
    for (const { id, object } of all) if (named.get(object)?.id !== id) await store.owed.unlinked(id);
    const rows = new Map([...named.values()].map((row) => [row.id, row]));
    // A rename may have got as far as the row, and not to the tree: what a file knows by its id is its own.
    const own = new Set(files.map(({ owed }) => owed?.id));
    for (const node of files) {
      if (!tree.isAttached(node) || (node.owed === undefined && node.copy?.dirty !== true)) continue;
      const byName = named.get(tree.objectName(node));
      const row =
        rows.get(node.owed?.id ?? "") ?? (byName === undefined || own.has(byName.id) ? undefined : byName);
      if (row?.id !== node.owed?.id) {
        const stamp = { changedNs: 0n, size: 0 }; // of no state the file ever had
        node.owed = row && {
          id: row.id,
          aside: row.id !== node.copy?.id,
          stamp,
          rested: false,
          replacing: row.replacing ?? "edited",
          bytes: row.size,
        };
        journal.note(node);
      }
      if (node.owed !== undefined) this.#uploads.add(node);
    }
  }

  #owedBelow(directory: DirectoryNode): FileNode[] {
    return this.#uploads.owed().filter((node) => isBelow(node, directory));
  }

  /**
   * Answers the name under which the file is recorded as it is now; undefined if it has none, or was before. `before`: it was
   * recorded a moment ago under that name.
   */
  async #record(node: FileNode, goesOn: boolean, before: string | undefined): Promise<string | undefined> {
    const { tree, store } = this.#context;
    const { copy } = node;
    if (!tree.isAttached(node) || copy === undefined) return undefined;
    const object = tree.objectName(node);
    if (before === object) return object;
    if (before === undefined && (await this.#isRecorded(node, copy))) return undefined;
    await store.refuseIfCutShort(copy);
    refreshTimes(node);
    copy.dirty = true;
    // Who has it open beside the one who closes goes on writing, too.
    if (goesOn || node.writers > 1) await this.#recordAside(node, copy, object);
    else await this.#recordInPlace(node, copy, object);
    this.#context.journal.note(node);
    return object;
  }

  async #recordInPlace(node: FileNode, copy: Copy, object: string): Promise<void> {
    const { owed: earlier } = node;
    const state = stateOf(copy);
    const owing = () => this.#owing(node, object);
    const before = earlier?.aside === true ? earlier.id : undefined;
    const { replacing } = await this.#context.store.owed.record(copy, owing, before);
    node.owed = { ...state, id: copy.id, aside: false, replacing };
  }

  async #recordAside(node: FileNode, copy: Copy, object: string): Promise<void> {
    const { owed: earlier } = node;
    const state = stateOf(copy);
    const owing = () => this.#owing(node, object);
    const before = earlier?.aside === true ? earlier.id : undefined;
    const recorded = await this.#context.store.owed.recordAside(copy, owing, before);
    if (recorded === undefined) throw new TooLargeToCopy();
    node.owed = { ...state, id: recorded.id, aside: true, replacing: recorded.replacing };
  }

  async #saveAtOnce(node: FileNode): Promise<void> {
    if (node.owed !== undefined) await this.#uploads.gone([node], this.#deadlineMs);
    await this.#saver.save(node);
  }

  /** Whether nothing has changed since it was acknowledged, or uploaded. */
  async #isRecorded(node: FileNode, copy: Copy): Promise<boolean> {
    const { owed } = node;
    if (owed === undefined) return node.version !== undefined && !(await this.#saver.changed(node));
    return owed.rested && sameStamp(copy.observe(), owed.stamp);
  }

  #owing(node: FileNode, object: string): OwingRow {
    const replacing: Replacing = node.exclusive
      ? "exclusive"
      : node.writtenWhole || node.owed?.replacing === "whole"
        ? "whole"
        : "edited";
    return { object, intent: intentOf(node, this.#context), replacing };
  }

  /** Nobody has the file open, and its bytes are not needed: they stay where they are, and the file gets others. */
  #leaveAside(node: FileNode, owed: OwedState, copy: Copy): void {
    node.owed = { ...owed, aside: true };
    node.copy = undefined;
    node.access = undefined;
    node.lastSummed = undefined;
    this.#context.store.leave(copy);
    this.#context.journal.note(node);
  }

  /** False if it would take too long. */
  async #copyAside(node: FileNode): Promise<boolean> {
    const { owed, copy } = node;
    const { tree, store, journal } = this.#context;
    if (owed === undefined || owed.aside || copy === undefined || copy.id !== owed.id) return true;
    if (!tree.isAttached(node)) return true;
    const object = tree.objectName(node);
    const owing = () => ({ ...this.#owing(node, object), replacing: owed.replacing });
    const recorded = await store.owed.recordAside(copy, owing, undefined);
    if (recorded === undefined) return false;
    if (node.owed === owed) node.owed = { ...owed, id: recorded.id, aside: true };
    else await store.owed.drop(recorded.id); // it was uploaded meanwhile
    journal.note(node);
    return true;
  }
}

/** It would take too long to copy the file: it goes to the bucket instead. */
class TooLargeToCopy extends Error {
  override readonly name = "TooLargeToCopy";
}

function stateOf(copy: Copy): Pick<OwedState, "stamp" | "rested" | "bytes"> {
  const { changedNs, size } = copy.observe();
  const rested = Date.now() - Number(changedNs / 1_000_000n) >= CTIME_REST_MS;
  return { stamp: { changedNs, size }, rested, bytes: size };
}

function isRecordable({ copy, conflict, following, unsureAppend }: FileNode): boolean {
  const alone = conflict === undefined && following === undefined && unsureAppend === undefined;
  return alone && copy !== undefined && !copy.retired && copy.whole;
}

function isBelow(node: Node, directory: DirectoryNode): boolean {
  for (let above = node.parent; above !== undefined; above = above.parent)
    if (above === directory) return true;
  return false;
}
