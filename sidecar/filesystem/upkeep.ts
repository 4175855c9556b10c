// What somebody who looks after a mount may ask of it: how busy it is, what it owes, and to try again what failed.

import type { KeptCopy } from "../copies/kept.ts";
import type { OwedCounts } from "../copies/owed-work.ts";
import type { Context } from "./context.ts";
import { pathBelow } from "./names.ts";
import { isDirectory, isFile, movesEnded, type DirectoryNode, type Node } from "./nodes.ts";
import type { Parts } from "./parts.ts";
import { retryKept, type RetryOutcome } from "./retry-kept.ts";

export interface Activity extends OwedCounts {
  /** Handles programs have. */
  readonly openFiles: number;
  /** Files whose bytes are on their way to the bucket. */
  readonly uploads: number;
}

/** Where an object is in the tree, as far as that is known. */
interface Place {
  /** The deepest folder on its way that is known. */
  readonly folder: DirectoryNode;
  /** The name in it that leads there. */
  readonly name: string;
  readonly node: Node | undefined;
}

export class Upkeep {
  readonly #context: Context;
  readonly #parts: Pick<Parts, "openFiles" | "resting" | "patcher" | "writeBack">;

  constructor(context: Context, parts: Pick<Parts, "openFiles" | "resting" | "patcher" | "writeBack">) {
    this.#context = context;
    this.#parts = parts;
  }

  async activity(): Promise<Activity> {
    const { open, uploading } = this.#parts.openFiles.activity;
    const counts = await this.#context.owed.counts();
    return {
      ...counts,
      patches: Math.max(counts.patches, this.#parts.patcher.owed()), // some have no object yet to be recorded for
      openFiles: open,
      uploads: uploading + this.#parts.resting.saving + (this.#parts.writeBack?.count ?? 0),
    };
  }

  /** Uploads what failed once more. Programs see it as if it had been put there elsewhere. */
  async retry(entry: KeptCopy, replace: boolean): Promise<RetryOutcome> {
    const { bucket, store, nextOperationId, readOnly } = this.#context;
    if (readOnly) return refused("this mount is read-only");
    const work = (): Promise<RetryOutcome> =>
      retryKept(entry, { bucket, kept: store.kept, replace, operationId: nextOperationId() });
    const place = this.#placeOf(entry.object);
    if (place === undefined) return work();
    if (!isFile(place.node)) return this.#changing(place, work);
    const file = place.node;
    await movesEnded(file);
    return file.changes.run(() => {
      if (file.local) return Promise.resolve(refused("a program is writing to this file just now"));
      return this.#changing(place, work);
    });
  }

  async #changing(place: Place, work: () => Promise<RetryOutcome>): Promise<RetryOutcome> {
    const { tree, kernel } = this.#context;
    const { folder, name, node } = place;
    const endChange = tree.beginChange(folder, name);
    try {
      return await work();
    } finally {
      endChange();
      folder.listed = undefined;
      if (node !== undefined) node.confirmed = undefined;
      void kernel().entryChanged(folder.id, name);
    }
  }

  #placeOf(object: string): Place | undefined {
    const { tree } = this.#context;
    let folder = tree.root;
    const { folders, last } = pathBelow(tree.objectName(folder), object);
    for (const name of folders) {
      const child = folder.children.get(name);
      if (!isDirectory(child)) return { folder, name, node: child };
      folder = child;
    }
    return last === undefined || last === ""
      ? undefined
      : { folder, name: last, node: folder.children.get(last) };
  }
}

function refused(reason: string): RetryOutcome {
  return { outcome: "refused", generation: undefined, reason };
}
