// RENAME_EXCHANGE: two names swap what they stand for. The bucket knows no such thing, so it takes three steps: the
// first object is copied aside, the second is copied over the first, and the copy aside is moved over the second.
//
// No name is missing at any moment, and nothing is overwritten that is not held elsewhere. What is to be done is in
// copies.db before the first step, so a crash in between is made good at the next start.

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Dated, ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { OwedExchange } from "../copies/owed-work.ts";
import { runInAll } from "../lib/turn.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Lookup } from "./lookup.ts";
import { WORKING_FOLDER } from "./names.ts";
import { isDirectory, isFile, movesEnded, type Node, type ObjectNode } from "./nodes.ts";
import type { Patcher } from "./patch.ts";
import type { Place } from "./rename.ts";
import type { Saver } from "./save.ts";

/** A file that is written to faster than it can be uploaded is exchanged as it was after this many uploads. */
const SAVE_ATTEMPTS = 3;
const RETRY_MS = 5000;

/** What the names stand for afterwards. */
interface Exchanged {
  readonly one: Dated<ObjectInfo>;
  readonly other: Dated<ObjectInfo>;
}

export class Exchanger {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #saver: Saver;
  readonly #patcher: Patcher;

  constructor(context: Context, parts: { lookup: Lookup; saver: Saver; patcher: Patcher }) {
    this.#context = context;
    this.#lookup = parts.lookup;
    this.#saver = parts.saver;
    this.#patcher = parts.patcher;
  }

  /** Both must be files, links or special files. ESTALE if one of them was replaced elsewhere. */
  async exchange(one: Node, to: Place, signal?: AbortSignal): Promise<void> {
    const other = to.parent.children.get(to.name) ?? (await this.#lookup.require(to.parent, to.name, signal));
    if (one === other) return;
    if (isDirectory(one) || isDirectory(other))
      throw new FileSystemError("EINVAL", "a folder cannot be exchanged: that would be very many objects");
    await this.#exchange(one, other);
  }

  async #exchange(one: ObjectNode, other: ObjectNode): Promise<void> {
    const { tree } = this.#context;
    await movesEnded(one);
    await movesEnded(other);
    for (const node of [one, other]) await this.#upload(node);
    const turns = [one, other].sort((a, b) => a.id - b.id).map(({ changes }) => changes);
    const ends = [one, other].map(({ parent, name }) => {
      if (parent === undefined) throw new FileSystemError("ENOENT", `${name} was removed`);
      return tree.beginChange(parent, name);
    });
    try {
      await runInAll(turns, () => this.#exchangeInTurn(one, other));
    } finally {
      for (const end of ends) end();
    }
  }

  /** Finishes what an earlier run began. */
  async resume(exchanges: readonly OwedExchange[]): Promise<void> {
    for (const owed of exchanges) {
      this.#context.log.warn(
        { one: owed.one.name, other: owed.other.name },
        "finishing an exchange of two names",
      );
      await this.#finish(owed);
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
    try {
      made = await this.#inBucket(one.version, other.version, intent);
    } catch (error) {
      one.confirmed = other.confirmed = undefined;
      this.#context.background.start("finish exchange", () => this.#finishStubbornly(intent));
      if (!isBucketError(error, "precondition-failed", "not-found")) throw error;
      throw new FileSystemError("ESTALE", "one of the two was replaced elsewhere", error);
    }
    await owed.exchangeDone(intent);
    tree.exchange(one, other);
    await this.#takeOver(one, made.other);
    await this.#takeOver(other, made.one);
  }

  async #inBucket(one: ObjectInfo, other: ObjectInfo, { aside }: OwedExchange): Promise<Exchanged> {
    const { bucket } = this.#context;
    const kept = await bucket.copy(one, aside, "absent");
    const first = await bucket.copy(other, one.name, one.generation);
    try {
      return { one: first, other: await bucket.move(kept.value, other.name, other.generation) };
    } catch (error) {
      // Replaced just now by somebody else: the first gets its own back, and theirs stays.
      if (isBucketError(error, "precondition-failed"))
        await bucket.move(kept.value, one.name, first.value.generation);
      throw error;
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

  async #finishStubbornly(intent: OwedExchange): Promise<void> {
    while (!this.#context.stopping()) {
      try {
        return await this.#finish(intent);
      } catch (error) {
        this.#context.log.warn({ one: intent.one.name, err: error }, "an exchange of two names is delayed");
        await delay(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  /** From whatever state it was left in: as if it had never begun, or to its end. */
  async #finish(intent: OwedExchange): Promise<void> {
    const { bucket, owed, log } = this.#context;
    const { value: aside } = await bucket.stat(intent.aside);
    if (aside !== undefined) {
      const { value: one } = await bucket.stat(intent.one.name);
      const { value: other } = await bucket.stat(intent.other.name);
      const begun = one?.generation !== intent.one.generation && isCopyOf(one, other);
      if (!begun) await bucket.remove(aside.name, aside.generation);
      else if (other?.generation === intent.other.generation)
        await bucket.move(aside, intent.other.name, intent.other.generation);
      else
        log.error(
          { object: aside.name, other: intent.other.name },
          "an exchange met another writer; its bytes stay aside",
        );
    }
    await owed.exchangeDone(intent);
  }
}

function isCopyOf(one: ObjectInfo | undefined, other: ObjectInfo | undefined): boolean {
  return one !== undefined && one.crc32c === other?.crc32c && one.size === other.size;
}
