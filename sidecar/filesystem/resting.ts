// What happens to a file's copy after its last use: it is uploaded once more if it changed, kept as cache, or dropped.

import { nobodyCanWrite } from "../copies/lease.ts";
import { stillEquals } from "../copies/snapshot.ts";
import { refreshTimes } from "./attributes-of.ts";
import type { Context } from "./context.ts";
import { giveUpSaving } from "./give-up.ts";
import type { FileNode } from "./nodes.ts";
import type { Saver } from "./save.ts";
import { forgetSpilled } from "./spill.ts";

/** Time given to a file after its last close before it is put to rest; most reopen at once or not soon. */
const REST_AFTER_MS = 50;
/** How often a file that somebody may still write to through a mapping is looked at again (RULES 1). */
const MAPPED_LOOK_MS = 1000;

/** A download that a look-up has begun goes on for this long without anybody who reads. */
const UNREAD_MS = 1000;

export class Resting {
  readonly #context: Context;
  readonly #saver: Saver;
  readonly #timers = new Map<FileNode, NodeJS.Timeout>();
  #closed = false;
  #keeping = 0;
  /** Uploads under way of files nobody has open. */
  saving = 0;

  constructor(context: Context, saver: Saver) {
    this.#context = context;
    this.#saver = saver;
  }

  /** Copies are on their way to rest: after that they can be given up. */
  get settling(): boolean {
    return this.#timers.size > 0 || this.#keeping > 0;
  }

  /** After the last use of a copy: puts it to rest when nobody came back meanwhile. */
  soon(node: FileNode, delayMs = REST_AFTER_MS): void {
    if (this.#closed) return;
    clearTimeout(this.#timers.get(node));
    const timer = setTimeout(() => {
      this.#timers.delete(node);
      this.#context.background.start("rest", () => this.rest(node));
    }, delayMs);
    this.#timers.set(node, timer);
  }

  /** Puts every closed file to rest now. */
  async all(): Promise<void> {
    this.#closed = true;
    const nodes = [...this.#timers.keys()];
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(nodes.map((node) => this.rest(node)));
  }

  /** Closes, keeps, uploads again or drops the copy of a file nobody has open. */
  async rest(node: FileNode): Promise<void> {
    const unsaved = await node.openings.run(async () => {
      const { copy } = node;
      if (copy === undefined || node.opened.size > 0 || node.borrowers > 0 || copy.retired) return false;
      if (node.heldUntilMs > this.#context.monotonicMs()) {
        this.soon(node, node.heldUntilMs - this.#context.monotonicMs());
        return false;
      }
      leaveToMappings(this.#context, node);
      node.writtenWhole = false;
      return this.#settle(node);
    });
    if (!unsaved) return;
    node.contentSerial += 1;
    const owing = this.#context.owing();
    if (owing !== undefined) return owing.later(node);
    this.saving += 1;
    try {
      await this.#saver.save(node);
      this.soon(node);
    } catch (error) {
      this.#context.log.error(
        { object: node.name, err: error },
        "a change after the last close could not be uploaded",
      );
      await this.giveUp(node);
    } finally {
      this.saving -= 1;
    }
  }

  /** Keeps aside what could not be uploaded, unless somebody has the file open: then that is asked at the last close. */
  async giveUp(node: FileNode): Promise<void> {
    await node.openings.run(async () => {
      if (node.opened.size > 0) return;
      leaveToMappings(this.#context, node);
      node.writtenWhole = false;
      await giveUpSaving(node, this.#context);
    });
  }

  /** Whether the file has changes to upload; otherwise its copy is kept as cache or dropped. */
  async #settle(node: FileNode): Promise<boolean> {
    const { store, tree, log, stopping, witness } = this.#context;
    const { copy } = node;
    if (copy === undefined) return false;
    if (!tree.isAttached(node)) {
      if (await witness().takeOver(node)) return false;
      node.fetcher?.stop();
      forgetSpilled(node, this.#context);
      store.discard(copy);
      return false;
    }
    if (copy.whole) node.fetcher = undefined; // it has brought all there is
    if (node.version === undefined || copy.changed()) return true;
    if (node.fetcher?.busy === true) {
      const unreadMs = this.#context.monotonicMs() - (node.unreadSinceMs ?? Number.POSITIVE_INFINITY);
      if (stopping() || unreadMs >= UNREAD_MS) node.fetcher.stop(); // what is here is kept
      this.soon(node, MAPPED_LOOK_MS); // bytes are still being written to the file
      return false;
    }
    if (copy.promised) {
      witness().atRest(node);
      store.rest(copy);
      return false;
    }
    if (copy.whole && !nobodyCanWrite(copy)) {
      log.debug({ object: node.name }, "still mapped for writing");
      this.soon(node, MAPPED_LOOK_MS);
      return copy.changed();
    }
    if (node.lastSummed !== undefined && copy.whole && !(await stillEquals(copy, node.lastSummed))) {
      copy.dirty = true;
      return true;
    }
    node.lastSummed = undefined;
    node.mayBeStoredTo = false;
    witness().atRest(node);
    this.#keep(node);
    return false;
  }

  #keep(node: FileNode): void {
    const { store, background } = this.#context;
    const { copy, version } = node;
    if (copy === undefined || version === undefined) return;
    copy.changedUnseen = false;
    node.fetcher?.letGo();
    if (!copy.whole && copy.present?.total === 0) {
      node.fetcher?.stop();
      node.copy = undefined;
      store.discard(copy);
      return;
    }
    this.#keeping += 1;
    const keep = node.openings.run(async () => {
      if (node.opened.size === 0 && node.borrowers === 0 && node.copy === copy && !copy.changed())
        await store.keep(copy, version);
    });
    background.start("keep copy", () => keep.finally(() => (this.#keeping -= 1)));
  }

  /** Somebody uses the file again. */
  cancel(node: FileNode): void {
    clearTimeout(this.#timers.get(node));
    this.#timers.delete(node);
  }
}

/**
 * What the kernel may write to by itself, and nobody has open, is written to through us from now on: if nothing is
 * owed of it and nobody has it mapped. Call while the file's `openings` turn is held.
 */
export async function takeFromKernel(context: Context, node: FileNode): Promise<void> {
  const { copy, lastSummed } = node;
  if (copy === undefined || node.opened.size > 0 || node.access !== "kernel" || copy.changed()) return;
  leaveToMappings(context, node);
  if (!nobodyCanWrite(copy)) return;
  if (lastSummed !== undefined && copy.whole && !(await stillEquals(copy, lastSummed))) copy.dirty = true;
  else copy.changedUnseen = false;
}

/** Nobody has the file open any more; what is stored through mappings that live on is seen by the copy's times. */
function leaveToMappings(context: Context, node: FileNode): void {
  unshare(context, node);
  refreshTimes(node);
  if (node.access === "kernel") node.mayBeStoredTo = node.copy?.mayBeMapped === true;
  node.access = undefined;
}

/** The kernel no longer reads and writes the file's copy by itself. */
export function unshare(context: Context, node: FileNode): void {
  if (node.backing === undefined) return;
  context.kernel().unshareFile(node.backing);
  node.backing = undefined;
  context.journal.note(node);
}
