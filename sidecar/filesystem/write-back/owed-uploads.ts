// The uploads that follow what was acknowledged: the oldest first, a few at a time, again and again while the bucket is
// in trouble. A file's own go one after another (`FileNode.changes`).

import { setTimeout as delay } from "node:timers/promises";
import { isBucketError } from "../../bucket/errors.ts";
import type { Context } from "../context.ts";
import { FileSystemError } from "../errors.ts";
import { messageOf } from "../give-up.ts";
import { movesEnded, type FileNode } from "../nodes.ts";
import type { OwedState } from "../owing.ts";
import type { Resting } from "../resting.ts";
import type { Saver } from "../save.ts";

/** How many files are uploaded at a time. */
const AT_A_TIME = 8;
/** A file is left alone for so long after it was acknowledged: many are renamed, written again or removed at once. */
const SETTLE_MS = 200;
/** After a failure the file is tried again after this, twice as long each time, up to the second. */
const RETRY_MS = [1000, 30_000] as const;
/** How often a drain says how it goes. */
const PROGRESS_MS = 5000;
/** How often it looks. */
const LOOK_MS = 20;
/** How long a sum over all files is good for. */
const SUM_EVERY_MS = 100;
/** Of what is left, so many names are logged. */
const EXAMPLES = 10;

interface Waiting {
  /** Not to be tried before, by the monotonic clock. */
  dueMs: number;
  failures: number;
}

export class OwedUploads {
  readonly #context: Context;
  readonly #saver: Saver;
  readonly #resting: Resting;
  /** In the order in which they were acknowledged. */
  readonly #waiting = new Map<FileNode, Waiting>();
  readonly #running = new Set<FileNode>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #hurrying = false;
  /** Changes with each upload that succeeds: somebody waits for progress. */
  #sent = 0;
  #bytes = 0;
  #summedMs = Number.NEGATIVE_INFINITY;
  /** The last failure, until one succeeds. */
  #trouble: unknown;

  constructor(context: Context, parts: { saver: Saver; resting: Resting }) {
    this.#context = context;
    this.#saver = parts.saver;
    this.#resting = parts.resting;
  }

  /** Has the file uploaded. */
  add(node: FileNode): void {
    if (this.#stopped || this.#waiting.has(node)) return;
    this.#waiting.set(node, { dueMs: this.#context.monotonicMs() + SETTLE_MS, failures: 0 });
    this.#look();
  }

  /** Files that are owed, oldest first. */
  owed(): FileNode[] {
    return [...new Set([...this.#running, ...this.#waiting.keys()])].filter(({ owed }) => owed !== undefined);
  }

  get count(): number {
    return this.owed().length;
  }

  /** Theirs, as of a moment ago: there may be very many. */
  get bytes(): number {
    const nowMs = this.#context.monotonicMs();
    if (nowMs - this.#summedMs > SUM_EVERY_MS) {
      this.#bytes = this.owed().reduce((sum, { owed }) => sum + (owed?.bytes ?? 0), 0);
      this.#summedMs = nowMs;
    }
    return this.#bytes;
  }

  /** Uploads what is owed of the file, whose turns the caller holds. */
  async sendInTurn(node: FileNode): Promise<void> {
    const { owed } = node;
    try {
      await this.#saver.saveInTurn(node);
    } catch (error) {
      await this.#failed(node, owed, error);
      throw error;
    }
    await this.#arrived(node, owed);
  }

  /** Resolves when none of these is owed any more. EIO when none has got there for `patienceMs`. */
  async gone(nodes: readonly FileNode[], patienceMs: number): Promise<void> {
    const owed = new Map(nodes.map((node) => [node, node.owed]));
    for (const node of nodes) this.#hurry(node);
    let [sent, sinceMs] = [this.#sent, this.#context.monotonicMs()];
    for (;;) {
      const left = [...owed].filter(([node, state]) => state !== undefined && node.owed === state).length;
      if (left === 0) return;
      if (this.#sent !== sent) [sent, sinceMs] = [this.#sent, this.#context.monotonicMs()];
      else if (this.#context.monotonicMs() - sinceMs > patienceMs || this.#stopped)
        throw new FileSystemError("EIO", `${left} acknowledged files are not in the bucket`, this.#trouble);
      await delay(LOOK_MS);
    }
  }

  /** Uploads what there is, without any delay, until `endMs`. Answers how many files are left. */
  async drain(endMs: number): Promise<number> {
    const { log, monotonicMs } = this.#context;
    this.#hurrying = true;
    for (const node of this.#waiting.keys()) this.#hurry(node);
    let saidMs = monotonicMs();
    while (this.count > 0 && monotonicMs() < endMs) {
      if (monotonicMs() - saidMs >= PROGRESS_MS) {
        log.info(
          { files: this.count, bytes: this.bytes, secondsLeft: Math.round((endMs - monotonicMs()) / 1000) },
          "uploading what is owed before the end",
        );
        saidMs = monotonicMs();
      }
      await delay(LOOK_MS);
    }
    const left = this.owed();
    if (left.length > 0)
      log.error(
        {
          files: left.length,
          bytes: this.bytes,
          examples: left.slice(0, EXAMPLES).map((node) => this.#nameOf(node)),
          err: this.#trouble,
        },
        "acknowledged files are not in the bucket; they are kept, and the next start uploads them",
      );
    return left.length;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #hurry(node: FileNode): void {
    const waiting = this.#waiting.get(node);
    if (waiting === undefined) return;
    waiting.dueMs = this.#context.monotonicMs();
    this.#look();
  }

  /** Begins what is due, and looks again when the next one is. */
  #look(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const nowMs = this.#context.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [node, { dueMs, failures }] of this.#waiting) {
      if (this.#running.size >= AT_A_TIME) return; // the end of one looks again
      if (this.#running.has(node)) continue;
      if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs);
      else this.#begin(node, failures);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#look(), nextMs - nowMs);
  }

  #begin(node: FileNode, failures: number): void {
    this.#waiting.delete(node);
    this.#running.add(node);
    this.#context.background.start("upload what is owed", async () => {
      let owed: OwedState | undefined;
      try {
        await movesEnded(node);
        const sent = await node.changes.run(async () => {
          ({ owed } = node);
          if (owed === undefined && node.writers > 0) return false; // what a program is just writing it will have acknowledged
          await this.#saver.saveInTurn(node);
          return true;
        });
        if (sent) await node.acknowledging.run(() => this.#arrived(node, owed));
      } catch (error) {
        const again = await node.acknowledging.run(() => this.#failed(node, owed, error));
        if (again && !this.#stopped) {
          const [first, longest] = this.#hurrying ? [RETRY_MS[0], RETRY_MS[0]] : RETRY_MS;
          const dueMs = this.#context.monotonicMs() + Math.min(first * 2 ** failures, longest);
          this.#waiting.set(node, { dueMs, failures: failures + 1 });
        }
      } finally {
        this.#running.delete(node);
        this.#look();
      }
    });
  }

  async #arrived(node: FileNode, owed: OwedState | undefined): Promise<void> {
    const { store, tree, log, journal } = this.#context;
    this.#sent += 1;
    if (this.#trouble !== undefined) log.info("the bucket takes what is owed again");
    this.#trouble = undefined;
    if (owed?.aside === true && node.copy?.id !== owed.id)
      await this.#endAside(node, owed, "the file has no name");
    // What was acknowledged meanwhile is owed still.
    if (node.owed !== undefined && node.owed !== owed) return this.add(node);
    node.owed = undefined;
    journal.note(node);
    const { copy } = node; // an open with O_TRUNC may have given it another one meanwhile
    const object = tree.isAttached(node) ? tree.objectName(node) : undefined;
    if (copy?.changed() !== true) this.#waiting.delete(node); // it came to be there while this upload was under way
    const inPlace = owed?.aside === false && copy?.id === owed.id;
    if (inPlace && object === undefined) await store.owed.unlinked(owed.id);
    else if (inPlace && object !== undefined && copy.changed()) await store.owed.changedSince(copy, object);
    else if (owed !== undefined && object !== undefined && copy?.changed() === false)
      await store.uploaded(copy, object); // also where what lay aside is what the file still holds
    if (node.opened.size === 0) this.#resting.soon(node);
  }

  /** Answers whether it is to be tried again. `sent`: what was owed when the try began. */
  async #failed(node: FileNode, sent: OwedState | undefined, error: unknown): Promise<boolean> {
    const { store, tree, log, journal, background } = this.#context;
    const { owed } = node; // acknowledged meanwhile, it is owed all the same
    if (node.conflict !== undefined || !tree.isAttached(node)) {
      // What was sent lies beside the other version, or the file was removed.
      if (sent?.aside === true) await this.#endAside(node, sent, messageOf(error));
      else if (sent !== undefined) await store.owed.unlinked(sent.id);
      if (owed !== sent) return owed !== undefined;
      node.owed = undefined;
      if (node.opened.size === 0) this.#resting.soon(node);
      return false;
    }
    const object = tree.objectName(node);
    const lost = error instanceof FileSystemError && error.code === "EEXIST";
    if (owed === undefined || lost) {
      log.error({ object, err: error }, "what was written could not be uploaded");
      node.owed = undefined;
      journal.note(node);
      if (owed?.aside === true) await store.owed.keep(owed.id, messageOf(error));
      else if (node.opened.size === 0)
        background.start("give up an upload", () => this.#resting.giveUp(node)); // who holds turns must not wait for others
      return false;
    }
    node.saveError = undefined; // the program was told that it is stored, and it is: here
    if (this.#trouble === undefined || !isBucketError(error))
      log.warn({ object, err: error }, "what was acknowledged is not in the bucket yet; it is tried again");
    this.#trouble = error;
    return true;
  }

  /** Bytes aside that are uploaded, or removed with their file; what has lost its name otherwise is kept for a person. */
  async #endAside(node: FileNode, owed: OwedState, reason: string): Promise<void> {
    const { store, tree } = this.#context;
    const lost = node.owed === owed && node.conflict === undefined && !tree.isAttached(node);
    await (lost ? store.owed.keep(owed.id, reason) : store.owed.drop(owed.id));
  }

  #nameOf(node: FileNode): string {
    return this.#context.tree.isAttached(node) ? this.#context.tree.objectName(node) : node.name;
  }
}
