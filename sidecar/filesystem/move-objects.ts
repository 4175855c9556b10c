// Moving every object below a folder to another prefix, sixteen at a time.
//
// Trouble with the bucket is waited out: the intent is durable, and somebody finishes it (RULES 28). A refusal that
// waiting cannot mend undoes what was done as long as the program can still be told; afterwards the object stays.

import { setTimeout as delay } from "node:timers/promises";
import type { Bucket, Dated, ObjectInfo } from "../bucket/bucket.ts";
import { BucketError, isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";

const MOVES_AT_A_TIME = 16;
const RETRY_MS = 1000;

/** One rename of a folder. Both names end in "/". */
export interface Moving {
  readonly source: string;
  readonly destination: string;
  /** The program has its answer: nothing can be undone any more. */
  answered: boolean;
  /** It did not succeed in time to be answered, and is being undone. */
  failed: boolean;
  /** What has got the new name elsewhere meanwhile must stay. */
  readonly noReplace: boolean;
  /** Called for each object, by its name below the folder. */
  readonly moved: (rest: string, object: Dated<ObjectInfo>) => void;
}

export class ObjectMover {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Rejects when the rename failed and was undone, or when the mount is stopped before its end. */
  async moveAll(objects: Iterable<ObjectInfo>, moving: Moving): Promise<void> {
    const queue = objects[Symbol.iterator]();
    const done: { rest: string; object: ObjectInfo }[] = [];
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      for (let next = queue.next(); next.done !== true && failures.length === 0; next = queue.next()) {
        const rest = next.value.name.slice(moving.source.length);
        try {
          const moved = await this.#moveStubbornly(next.value, moving.destination + rest);
          if (moved === undefined) continue;
          moving.moved(rest, moved);
          done.push({ rest, object: moved.value });
        } catch (error) {
          this.#context.log.error(
            { object: next.value.name, err: error },
            "an object of a renamed folder stays behind",
          );
          if (moving.answered && isRefusal(error)) continue;
          failures.push(error);
          moving.failed = !moving.answered;
        }
      }
    };
    await Promise.all(Array.from({ length: MOVES_AT_A_TIME }, worker));
    if (failures.length === 0) return;
    if (moving.failed && failures.every(isRefusal)) await this.#undo(done, moving);
    throw failures[0];
  }

  /** Moves what is left below a folder whose rename an earlier run began. */
  async finish(source: string, destination: string): Promise<void> {
    for await (const page of pagesBelow(this.#context.bucket, source)) {
      await this.moveAll(page, {
        source,
        destination,
        answered: true,
        failed: false,
        noReplace: true,
        moved: () => undefined,
      });
    }
  }

  async #undo(done: readonly { rest: string; object: ObjectInfo }[], moving: Moving): Promise<void> {
    for (const { rest, object } of done) {
      try {
        const back = await this.#moveStubbornly(object, moving.source + rest);
        if (back !== undefined) moving.moved(rest, back);
      } catch (error) {
        this.#context.log.error(
          { object: object.name, err: error },
          "an object of a failed rename stays where it went",
        );
      }
    }
  }

  async #moveStubbornly(object: ObjectInfo, destination: string): Promise<Dated<ObjectInfo> | undefined> {
    for (let uncertain = false; ;) {
      try {
        return await this.#move(object, destination, uncertain);
      } catch (error) {
        if (isRefusal(error) || this.#context.stopping()) throw error;
        if (error instanceof BucketError) uncertain ||= error.uncertain;
        this.#context.log.warn({ object: object.name, err: error }, "a folder rename is delayed");
        await delay(RETRY_MS);
      }
    }
  }

  /** Undefined: there was nothing to move, or the destination was taken. `uncertain`: an earlier try may have worked. */
  async #move(
    object: ObjectInfo,
    destination: string,
    uncertain: boolean,
  ): Promise<Dated<ObjectInfo> | undefined> {
    const { bucket, log } = this.#context;
    try {
      return await bucket.move(object, destination, "absent");
    } catch (error) {
      if (!isBucketError(error, "not-found", "precondition-failed")) throw error;
      const { value: live } = await bucket.stat(object.name);
      if (live === undefined) return uncertain ? this.#found(object, destination) : undefined;
      if (live.generation !== object.generation) return this.#move(live, destination, false);
      log.warn(
        { object: object.name, destination },
        "not moved: the destination was made elsewhere meanwhile",
      );
      return undefined;
    }
  }

  /** What an earlier try of ours made, its answer lost. */
  async #found(object: ObjectInfo, destination: string): Promise<Dated<ObjectInfo> | undefined> {
    const { value, dateMs } = await this.#context.bucket.stat(destination);
    const same = value?.crc32c === object.crc32c && value.size === object.size;
    return same ? { value, dateMs } : undefined;
  }
}

/** Whether trying again later cannot help. */
function isRefusal(error: unknown): boolean {
  return !isBucketError(error, "unavailable", "deadline", "throttled", "unauthenticated");
}

async function* pagesBelow(bucket: Bucket, prefix: string): AsyncIterable<readonly ObjectInfo[]> {
  for (let pageToken: string | undefined; ;) {
    const page = await bucket.list({
      prefix,
      pageSize: 1000,
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    yield page.objects;
    if (page.nextPageToken === undefined) return;
    pageToken = page.nextPageToken;
  }
}
