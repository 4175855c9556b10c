// Which answers of the bucket are news (RULES 7).
//
// Every request notes when it began, every local change of a name when it began and ended. An answer says
// nothing of a name that has changed here since its request began, or is changing now.

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { DirectoryNode } from "./nodes.ts";

/** Change records of one folder are tidied up above this many. */
const CHANGE_RECORDS_MAX = 1000;

/** A request to the bucket, from before it is sent until its answer is taken in. */
export interface Observation {
  readonly serial: number;
  /** When it began, by our monotonic clock. */
  readonly atMs: number;
}

export class Observations {
  readonly #monotonicMs: () => number;
  readonly #underWay = new Set<Observation>();
  #serial = 1;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Notes that a question is about to be asked; end it when the answer was taken in. */
  begin(): Observation {
    const observation: Observation = { serial: ++this.#serial, atMs: this.#monotonicMs() };
    this.#underWay.add(observation);
    return observation;
  }

  end(observation: Observation): void {
    this.#underWay.delete(observation);
  }

  /** Marks a local change of a name from its start to its end. Call the result when the change is over. */
  beginChange(directory: DirectoryNode, name: string): () => void {
    const change = directory.nameChanges.get(name) ?? { serial: 0, underWay: 0 };
    directory.nameChanges.set(name, change);
    change.underWay += 1;
    change.serial = ++this.#serial;
    if (directory.nameChanges.size > CHANGE_RECORDS_MAX) this.#tidy(directory);
    return () => {
      change.underWay -= 1;
      change.serial = ++this.#serial;
    };
  }

  /** Whether an answer may say anything about a name. */
  mayTell(directory: DirectoryNode, name: string, observation: Observation): boolean {
    if (directory.postponed.has(name) || directory.authoritative) return false;
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

/** Whether an answer describes a later state of an object than the one that is known. */
export function isNewer(object: ObjectInfo, known: ObjectInfo): boolean {
  return object.generation !== known.generation
    ? object.generation > known.generation
    : object.metageneration > known.metageneration;
}
