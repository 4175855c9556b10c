// Which answers of the bucket are news (RULES 7).
//
// Every request notes when it began, every local change of a name when it began and ended. An answer says
// nothing of a name that has changed here since its request began, or is changing now.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { Doubts } from "./doubts.ts";
import { isFile, isLocal, versionOf, type DirectoryNode, type Node } from "./nodes.ts";
import { confirmation, type Confirmation, type TrustRule } from "./trust.ts";

/** Change records of one folder are tidied up above this many. */
const CHANGE_RECORDS_MAX = 1000;

/** A request to the bucket, from before it is sent until its answer is taken in. */
export interface Observation {
  readonly serial: number;
  /** When it began, by our monotonic clock. */
  readonly atMs: number;
}

/** By which clock and which rules answers are taken in. */
interface Asking {
  readonly monotonicMs: () => number;
  readonly hierarchical: boolean;
  readonly trust: TrustRule;
}

export class Observations {
  readonly #monotonicMs: () => number;
  readonly #hierarchical: boolean;
  readonly #trust: TrustRule;
  readonly #doubts = new Doubts();
  readonly #underWay = new Set<Observation>();
  #serial = 1;

  constructor({ monotonicMs, hierarchical, trust }: Asking) {
    this.#monotonicMs = monotonicMs;
    this.#hierarchical = hierarchical;
    this.#trust = trust;
  }

  /** Notes that a question is about to be asked; end it when the answer was taken in. */
  begin(): Observation {
    const observation: Observation = { serial: ++this.#serial, atMs: this.#monotonicMs() };
    this.#underWay.add(observation);
    return observation;
  }

  end(observation: Observation): void {
    this.#underWay.delete(observation);
    if (this.#underWay.size === 0) this.#doubts.clear();
  }

  /** Somebody says that a name changed elsewhere: questions that are under way were asked before. */
  doubt(directory: DirectoryNode, name: string): void {
    if (this.#underWay.size > 0) this.#doubts.add(directory, name, ++this.#serial);
  }

  /** How long what an answer says of a name may be trusted: not at all if the name was doubted since it was asked for. */
  confirmation(
    directory: DirectoryNode,
    name: string,
    changedMs: number,
    dateMs: number,
    { serial, atMs }: Observation,
  ): Confirmation {
    const confirmed = confirmation(this.#trust, changedMs, dateMs, atMs);
    return this.#doubts.since(directory, name, serial) ? { ...confirmed, trustMs: 0 } : confirmed;
  }

  /** Marks a local change of a name from its start to its end. Call the result when the change is over. */
  beginChange(directory: DirectoryNode, name: string): () => void {
    const change = directory.nameChanges.get(name) ?? { serial: 0, underWay: 0, settled: undefined };
    directory.nameChanges.set(name, change);
    change.underWay += 1;
    change.serial = ++this.#serial;
    if (directory.nameChanges.size > CHANGE_RECORDS_MAX) this.#tidy(directory);
    return () => {
      change.underWay -= 1;
      change.serial = ++this.#serial;
      if (change.underWay > 0) return;
      change.settled?.resolve();
      change.settled = undefined;
    };
  }

  /**
   * Whether an answer shows an earlier state of the bucket than the version that is known. A folder that was renamed
   * elsewhere may have brought a lower generation: that is so if it was asked for since.
   */
  isLate(node: Node, answered: ObjectInfo, observation: Observation): boolean {
    const known = versionOf(node);
    if (known === undefined || known.generation <= answered.generation) return false;
    return !this.#hierarchical || observation.serial <= node.seenSerial;
  }

  /** A version of the node was taken in just now. */
  seen(node: Node): void {
    node.seenSerial = this.#serial;
  }

  /** A folder and everything below it have another name: what was asked before is no news of it. */
  moved(directory: DirectoryNode): void {
    directory.movedSerial = ++this.#serial;
  }

  /** Whether an answer may say anything about what is in the folder. */
  mayTellOf(directory: DirectoryNode, observation: Observation): boolean {
    if (directory.authoritative) return false;
    for (let above: DirectoryNode | undefined = directory; above !== undefined; above = above.parent)
      if (above.movedSerial > observation.serial) return false;
    return true;
  }

  /** Whether an answer may say anything about a name. */
  mayTell(directory: DirectoryNode, name: string, observation: Observation): boolean {
    if (directory.postponed.has(name) || !this.mayTellOf(directory, observation)) return false;
    const change = directory.nameChanges.get(name);
    return change === undefined || (change.underWay === 0 && change.serial < observation.serial);
  }

  #tidy(directory: DirectoryNode): void {
    let oldest = this.#serial;
    for (const { serial } of this.#underWay) oldest = Math.min(oldest, serial);
    for (const [name, { serial, underWay }] of directory.nameChanges) {
      if (underWay === 0 && serial < oldest) directory.nameChanges.delete(name);
    }
  }
}

/**
 * Whether an answer that is not late says more of an object than what is known. What is known already is no news: a
 * folder's own times move with its entries, not with its placeholder.
 */
export function isNews(object: ObjectInfo, node: Node): boolean {
  const known = versionOf(node);
  if (known === undefined || known === object || known.generation !== object.generation) return true;
  return object.metageneration > known.metageneration;
}

/**
 * Call the result when a question about a name has been answered: false if the answer said nothing, because the name was being
 * changed here since. It may be older or newer than that change.
 */
export function watchName({ nameChanges }: DirectoryNode, name: string): () => boolean {
  const before = nameChanges.get(name)?.serial;
  return () => {
    const change = nameChanges.get(name);
    return change === undefined || (change.underWay === 0 && change.serial === before);
  };
}

/** Resolves when no change of a name is under way here. */
export async function nameSettled({ nameChanges }: DirectoryNode, name: string): Promise<void> {
  const change = nameChanges.get(name);
  if (change === undefined || change.underWay === 0) return;
  change.settled ??= Promise.withResolvers();
  await change.settled.promise;
}

/** Another number than before means that the folder, or one above it, has another name in the bucket. */
export function placeSerial({ movedSerial, parent }: DirectoryNode): number {
  return Math.max(movedSerial, parent === undefined ? 0 : placeSerial(parent));
}

/**
 * Whether what this machine has of a node stays, whatever the bucket says of its name. Attributes that wait to be sent are
 * for the version that was there: where `now` is another one, or nothing, they are for nobody.
 */
export function isKept(known: Node, now?: ObjectInfo): boolean {
  if (!isFile(known) || known.local) return isLocal(known);
  return known.patchOwed && known.version?.generation === now?.generation;
}
