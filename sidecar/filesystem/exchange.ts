// RENAME_EXCHANGE: two names swap what they stand for. The bucket knows no such thing, so it takes three steps: the
// first object is copied aside, the second is copied over the first, and the copy aside is moved over the second.
//
// No name is missing at any moment, and nothing is overwritten that is not held elsewhere. What is to be done is in
// copies.db before the first step. An exchange that fails is undone, since its files go on under the names that programs
// know; so is at the next start what a crash broke off.

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Dated, Generation, ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { OwedExchange } from "../copies/owed-work.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Caller } from "./filesystem.ts";
import type { Lookup } from "./lookup.ts";
import { WORKING_FOLDER } from "./names.ts";
import { isDirectory, isFile, movesEnded, type Node, type ObjectNode } from "./nodes.ts";
import type { Namespace } from "./namespace.ts";
import { inTurnsOf } from "./owing.ts";
import type { Patcher } from "./patch.ts";
import type { Place } from "./rename.ts";
import type { Saver } from "./save.ts";
import { keepTimesApart, type Displaced } from "./times-apart.ts";
import type { VersionTimes } from "./version-times.ts";

/** A file that is written to faster than it can be uploaded is exchanged as it was after this many uploads. */
const SAVE_ATTEMPTS = 3;
const RETRY_MS = 5000;

/** What the names stand for afterwards. */
interface Exchanged {
  readonly one: Dated<ObjectInfo>;
  readonly other: Dated<ObjectInfo>;
}

/** How far it came. */
interface Progress {
  /** What the first name stands for, if that was answered. */
  first: Generation | undefined;
}

export class Exchanger {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #namespace: Namespace;
  readonly #saver: Saver;
  readonly #patcher: Patcher;

  readonly #times: VersionTimes;

  constructor(
    context: Context,
    parts: { lookup: Lookup; namespace: Namespace; saver: Saver; patcher: Patcher; times: VersionTimes },
  ) {
    this.#context = context;
    this.#lookup = parts.lookup;
    this.#namespace = parts.namespace;
    this.#saver = parts.saver;
    this.#patcher = parts.patcher;
    this.#times = parts.times;
  }

  /**
   * Both must be files, links or special files. ESTALE if one of them was replaced elsewhere. A `caller` whose request an
   * earlier worker had begun finds it done, or undone by the start of this one.
   */
  async exchange(one: Node, to: Place, caller: Caller): Promise<void> {
    const other =
      to.parent.children.get(to.name) ?? (await this.#lookup.require(to.parent, to.name, caller.interrupted));
    if (one === other) return;
    if (isDirectory(one) || isDirectory(other))
      throw new FileSystemError("EINVAL", "a folder cannot be exchanged: that would be very many objects");
    if (caller.begun !== undefined && (await this.#isDone(one, other))) return;
    await this.#exchange(one, other);
  }

  /** What was undone, or done and not answered, has left other generations than the nodes know. */
  async #isDone(one: ObjectNode, other: ObjectNode): Promise<boolean> {
    const { bucket, tree } = this.#context;
    const [first, second] = [
      await bucket.stat(tree.objectName(one)),
      await bucket.stat(tree.objectName(other)),
    ];
    if (first.value === undefined || second.value === undefined) return false;
    const [atOne, atOther] = [
      { ...first, value: first.value },
      { ...second, value: second.value },
    ];
    const same = isCopyOf(atOne.value, one.version) && isCopyOf(atOther.value, other.version);
    if (same) {
      await this.#takeOver(one, atOne);
      await this.#takeOver(other, atOther);
      return false;
    }
    if (!isCopyOf(atOne.value, other.version) || !isCopyOf(atOther.value, one.version)) return false;
    tree.exchange(one, other);
    await this.#takeOver(one, atOther);
    await this.#takeOver(other, atOne);
    return true;
  }

  async #exchange(one: ObjectNode, other: ObjectNode): Promise<void> {
    const { tree } = this.#context;
    for (const node of [one, other]) await this.#upload(node);
    await movesEnded(one);
    await movesEnded(other);
    const ends = [one, other].map(({ parent, name }) => {
      if (parent === undefined) throw new FileSystemError("ENOENT", `${name} was removed`);
      return tree.beginChange(parent, name);
    });
    try {
      for (const node of [one, other]) await this.#namespace.exhume(tree.objectName(node));
      await inTurnsOf([one, other], this.#context, async () => {
        for (const node of [one, other]) {
          if (isFile(node)) await this.#context.owing()?.send(node);
          await this.#patcher.flushInTurn(node); // what is owed goes by a name
        }
        await this.#exchangeInTurn(one, other);
      });
    } finally {
      for (const end of ends) end();
    }
  }

  /** Undoes what an earlier run began and did not end. */
  async resume(exchanges: readonly OwedExchange[]): Promise<void> {
    for (const owed of exchanges) {
      this.#context.log.warn(
        { one: owed.one.name, other: owed.other.name },
        "undoing an exchange of two names that was broken off",
      );
      await this.#undo(owed);
    }
  }

  async #upload(node: ObjectNode): Promise<void> {
    if (!isFile(node)) return;
    for (let attempt = 0; attempt < SAVE_ATTEMPTS; attempt += 1) {
      if (node.version !== undefined && node.copy?.changed() !== true) return;
      await this.#saver.save(node);
    }
  }

  async #exchangeInTurn(one: ObjectNode, other: ObjectNode): Promise<void> {
    const { tree, owed } = this.#context;
    if (one.parent === undefined || other.parent === undefined || !one.version || !other.version)
      throw new FileSystemError("ENOENT", "one of the two was removed");
    const intent: OwedExchange = {
      aside: `${tree.objectName(tree.root)}${WORKING_FOLDER}/exchange/${randomUUID()}`,
      one: { name: tree.objectName(one), generation: one.version.generation },
      other: { name: tree.objectName(other), generation: other.version.generation },
    };
    await owed.oweExchange(intent);
    let made: Exchanged;
    const progress: Progress = { first: undefined };
    try {
      made = await this.#inBucket(one.version, other.version, intent, progress);
    } catch (error) {
      one.confirmed = other.confirmed = undefined;
      const stale = isBucketError(error, "precondition-failed", "not-found");
      const undone = stale && (await this.#undoNow(one, intent, progress));
      if (!undone)
        this.#context.background.start("undo exchange", () => this.#undoStubbornly(one, intent, progress));
      throw stale ? new FileSystemError("ESTALE", "one of the two was replaced elsewhere", error) : error;
    }
    await owed.exchangeDone(intent);
    const before = { one: timesOf(one), other: timesOf(other) };
    tree.exchange(one, other);
    if (isFile(one)) keepTimesApart(this.#context, this.#times, one, tree.objectName(one), before.other);
    if (isFile(other)) keepTimesApart(this.#context, this.#times, other, tree.objectName(other), before.one);
    await this.#takeOver(one, made.other);
    await this.#takeOver(other, made.one);
  }

  async #inBucket(
    one: ObjectInfo,
    other: ObjectInfo,
    { aside }: OwedExchange,
    progress: Progress,
  ): Promise<Exchanged> {
    const { bucket } = this.#context;
    const { value: kept } = await bucket.copy(one, aside, "absent");
    let first: Dated<ObjectInfo>;
    try {
      first = await bucket.copy(other, one.name, one.generation);
    } catch (error) {
      // It was not done, and will not be.
      if (isBucketError(error) && !error.uncertain) await bucket.remove(kept.name, kept.generation);
      throw error;
    }
    progress.first = first.value.generation;
    return { one: first, other: await this.#moveOver(kept, other) };
  }

  /** Nobody else knows of the copy aside: where it went, it was moved by us, whatever became of the answer (RULES 5). */
  async #moveOver(kept: ObjectInfo, other: ObjectInfo): Promise<Dated<ObjectInfo>> {
    const { bucket } = this.#context;
    try {
      return await bucket.move(kept, other.name, other.generation);
    } catch (error) {
      if (!isBucketError(error) || !error.uncertain) throw error;
      const { value: left } = await bucket.stat(kept.name);
      const { value, dateMs } = await bucket.stat(other.name);
      if (left !== undefined || value === undefined || !isCopyOf(value, kept)) throw error;
      return { value, dateMs };
    }
  }

  /** The node stands for the object its new name has. */
  async #takeOver(node: ObjectNode, { value, dateMs }: Dated<ObjectInfo>): Promise<void> {
    const { tree, store, witness } = this.#context;
    tree.confirmOwn(node, value, dateMs);
    if (isFile(node)) witness().renamed(node);
    if (isFile(node) && node.copy !== undefined) {
      node.copy.version = value;
      store.renamed(node.copy, value);
    }
    if (node.patchOwed) await this.#patcher.owe(node);
  }

  /** In the turn of the first. Whether it could be undone. */
  async #undoNow(one: ObjectNode, intent: OwedExchange, progress: Progress): Promise<boolean> {
    try {
      const restored = await this.#undo(intent, progress.first);
      if (
        restored !== undefined &&
        one.parent !== undefined &&
        one.version?.generation === intent.one.generation
      )
        await this.#takeOver(one, restored);
      return true;
    } catch (error) {
      this.#context.log.warn(
        { one: intent.one.name, err: error },
        "undoing an exchange of two names is delayed",
      );
      return false;
    }
  }

  async #undoStubbornly(one: ObjectNode, intent: OwedExchange, progress: Progress): Promise<void> {
    while (!this.#context.stopping()) {
      if (await one.changes.run(() => this.#undoNow(one, intent, progress))) return;
      await delay(RETRY_MS, undefined, { ref: false });
    }
  }

  /**
   * From whatever state it was left in: as if it had never begun, unless it came to its end all the same. Answers the
   * first object, if it had to be put back. `first`: the generation of what was put in its place, if that is known.
   */
  async #undo(intent: OwedExchange, first?: Generation): Promise<Dated<ObjectInfo> | undefined> {
    const { bucket, owed, log } = this.#context;
    const { value: aside } = await bucket.stat(intent.aside);
    let restored: Dated<ObjectInfo> | undefined;
    if (aside !== undefined) {
      const { value: one } = await bucket.stat(intent.one.name);
      const { value: other } = await bucket.stat(intent.other.name);
      const ours =
        one?.generation === first || (isCopyOf(one, other) && other?.generation === intent.other.generation);
      // Also where nothing is known to have happened: a copy that arrives late finds another generation.
      if (one !== undefined && (ours || one.generation === intent.one.generation))
        restored = await bucket.move(aside, one.name, one.generation);
      else if (isCopyOf(aside, one) || isCopyOf(aside, other))
        await bucket.remove(aside.name, aside.generation);
      else
        log.error(
          { object: aside.name, one: intent.one.name },
          "an exchange met another writer; its bytes stay aside",
        );
    }
    await owed.exchangeDone(intent);
    return restored;
  }
}

function timesOf({ version, modifyTimeNs }: ObjectNode): Displaced {
  return { version, modifyTimeNs };
}

function isCopyOf(one: ObjectInfo | undefined, other: ObjectInfo | undefined): boolean {
  return one !== undefined && one.crc32c === other?.crc32c && one.size === other.size;
}
