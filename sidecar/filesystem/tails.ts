// Objects that become part of others, in a folder nobody sees. When they have, they have to go: at once, or as soon as the
// bucket answers again. What a mount that ends first, or may not remove it, leaves behind is removed by age (stale-tails.ts).

import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { isAway } from "../bucket/availability.ts";
import type { ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Version } from "../bucket/copy.ts";
import type { Snapshot } from "../copies/snapshot.ts";
import type { Context } from "./context.ts";
import { WORKING_FOLDER } from "./names.ts";

/** Where they are, below the mount's prefix. */
export const TAILS_FOLDER = `${WORKING_FOLDER}/tails/`;
/** On top of the time a request takes to be given up. */
const PAUSE_MS = 2_000;
/** How often to look for what may have arrived late. */
const LOOKS = 4;

/** Puts the bytes there, under a name of their own. */
export async function insertTail(
  context: Context,
  { source }: Pick<Snapshot, "source">,
): Promise<ObjectInfo> {
  const { bucket, nextOperationId, background, tree } = context;
  const name = `${tree.objectName(tree.root)}${TAILS_FOLDER}${randomUUID()}`;
  try {
    return (await bucket.insert(name, source, "absent", {}, { operationId: nextOperationId() })).value;
  } catch (error) {
    if (isBucketError(error) && error.uncertain)
      background.start("remove tail", () => removeUnsureTail(context, name));
    throw error;
  }
}

type Needed = Pick<Context, "bucket" | "stopping">;

export async function removeTail(context: Needed, { name, generation }: Version): Promise<void> {
  await onceAnswered(context, () => context.bucket.remove(name, generation));
}

/** As removeTail, of one whose insertion was given up: it may be there, or arrive a little later. */
export async function removeUnsureTail(context: Needed, name: string): Promise<void> {
  for (let looks = 0; looks < LOOKS && !context.stopping(); looks += 1) {
    const { value: tail } = await onceAnswered(context, () => context.bucket.stat(name));
    if (tail !== undefined) return removeTail(context, tail);
    await delay(PAUSE_MS);
  }
}

async function onceAnswered<T>({ stopping }: Needed, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isAway(error) || stopping()) throw error;
      await delay(PAUSE_MS);
    }
  }
}
