// Renaming: `moveTo`, which is atomic, or copy and removal where these credentials or this server do not allow it.
//
// A moveTo is not idempotent. If its answer is lost and the source is gone afterwards, only a mount that is alone
// may conclude that it was itself; any other must say that it does not know (RULES 5): two programs that claim the
// same work by renaming must never both believe that they got it.

import type { Dated, Expected, ObjectInfo } from "./bucket.ts";
import { copyLive, findCopy, type Version } from "./copy.ts";
import { BucketError, isBucketError } from "./errors.ts";
import { encodeQuery, encodeSegment } from "./names.ts";
import { decodeObject, generationMatch, objectFields } from "./objects.ts";
import { removeVersion } from "./remove.ts";
import type { Requests } from "./requests.ts";
import { stat } from "./stat.ts";

export class Mover {
  readonly #requests: Requests;
  readonly #soleWriter: boolean;
  /** True once moveTo was refused and copying was not: it would be refused again. */
  #copies = false;

  constructor(requests: Requests, soleWriter: boolean) {
    this.#requests = requests;
    this.#soleWriter = soleWriter;
  }

  async move(source: Version, destination: string, expected: Expected): Promise<Dated<ObjectInfo>> {
    if (this.#copies) return this.#copyAndRemove(source, destination, expected);
    try {
      return await this.#moveTo(source, destination, expected);
    } catch (error) {
      if (!cannotMove(error)) throw error;
      const moved = await this.#copyAndRemove(source, destination, expected);
      this.#copies = true;
      this.#requests.log.warn(
        { err: error },
        "moveTo is refused, renames are copies from now on: give storage.objects.move to make them atomic",
      );
      return moved;
    }
  }

  async #moveTo(source: Version, destination: string, expected: Expected): Promise<Dated<ObjectInfo>> {
    const query = {
      ifSourceGenerationMatch: source.generation,
      ifGenerationMatch: generationMatch(expected),
      projection: "noAcl",
      fields: objectFields,
    };
    const path = `${this.#requests.objectPath(source.name)}/moveTo/o/${encodeSegment(destination)}`;
    try {
      return await this.#requests.ask(
        {
          operation: "move",
          about: `move of ${JSON.stringify(source.name)} to ${JSON.stringify(destination)}`,
          method: "POST",
          path: path + encodeQuery(query),
          body: () => ({ length: 0, content: Buffer.alloc(0) }),
        },
        this.#requests.metadataBudget(),
        decodeObject,
      );
    } catch (error) {
      if (!isBucketError(error, "not-found", "precondition-failed")) throw error;
      if (!error.uncertain) throw await this.#refusal(error, source);
      return this.#settle(error, source, destination, expected);
    }
  }

  /** Which side a certain refusal was about: 412 is answered for the source's generation as for the destination's. */
  async #refusal(error: BucketError, source: Version): Promise<BucketError> {
    if (error.kind === "not-found") return error;
    const { value: live } = await stat(this.#requests, source.name);
    return live?.generation === source.generation ? error : gone(error);
  }

  /** What became of a move of which at least one answer was lost. */
  async #settle(
    error: BucketError,
    source: Version,
    destination: string,
    expected: Expected,
  ): Promise<Dated<ObjectInfo>> {
    const left = await stat(this.#requests, source.name);
    if (left.value?.generation === source.generation) throw error; // not moved, by anyone
    const { value: arrived, dateMs } = await stat(this.#requests, destination);
    if (arrived !== undefined && arrived.generation === expected) throw gone(error, false); // nothing came
    if (this.#soleWriter && arrived !== undefined && arrived.generation > source.generation) {
      return { value: arrived, dateMs };
    }
    throw unknown(error);
  }

  async #copyAndRemove(source: Version, destination: string, expected: Expected): Promise<Dated<ObjectInfo>> {
    const copied = await this.#copy(source, destination, expected);
    const failure = await this.#removeSource(source);
    if (failure === undefined) return copied;
    if (failure.kind === "not-found") {
      if (failure.uncertain && !this.#soleWriter) throw unknown(failure);
      // What the copy replaced cannot be brought back: it is as good as renamed.
      if (failure.uncertain || expected !== "absent") return copied;
    }
    // Never while the source may yet be removed: the copy is then all there is.
    if (
      !failure.uncertain &&
      expected === "absent" &&
      isBucketError(failure, "not-found", "forbidden", "retained")
    ) {
      await this.#undo(destination, copied.value);
    }
    throw failure;
  }

  /** Why the source that was copied could not be removed, by us: someone may have renamed it at the same time. */
  async #removeSource(source: Version): Promise<BucketError | undefined> {
    const about = `move of ${JSON.stringify(source.name)}`;
    try {
      const removal = await removeVersion(this.#requests, source.name, source.generation);
      if (removal === "removed") return undefined;
      return new BucketError("not-found", `${about}: it was taken meanwhile`, {
        uncertain: removal === "taken",
      });
    } catch (error) {
      if (!isBucketError(error)) throw error;
      return error.kind === "precondition-failed" ? gone(error) : error;
    }
  }

  /** A rename that failed leaves nothing new behind. */
  async #undo(destination: string, { generation }: ObjectInfo): Promise<void> {
    try {
      await removeVersion(this.#requests, destination, generation);
    } catch (err) {
      this.#requests.log.warn(
        { object: destination, generation, err },
        "the copy of a failed rename was left behind",
      );
    }
  }

  async #copy(source: Version, destination: string, expected: Expected): Promise<Dated<ObjectInfo>> {
    try {
      return await copyLive(this.#requests, source, destination, expected);
    } catch (error) {
      if (!isBucketError(error, "precondition-failed")) throw error;
      if (!error.uncertain) throw await this.#refusal(error, source);
      // An equal object there may be that of another who renames the same source to the same name.
      const copied = this.#soleWriter && (await findCopy(this.#requests, source, destination, expected));
      if (!copied) throw unknown(error);
      return copied;
    }
  }
}

// 403: storage.objects.move is newer than many custom roles. 405, 501: a server that does not have it.
function cannotMove(error: unknown): boolean {
  return (
    isBucketError(error, "forbidden") ||
    (isBucketError(error) && (error.status === 405 || error.status === 501))
  );
}

function gone(error: BucketError, uncertain = error.uncertain): BucketError {
  return new BucketError("not-found", `${error.message} – the source version is gone`, {
    status: error.status,
    reason: error.reason,
    uncertain,
    cause: error,
  });
}

function unknown(error: BucketError): BucketError {
  return new BucketError(
    "unavailable",
    `${error.message} – after a lost answer: whether it was moved is unknown`,
    { status: error.status, uncertain: true, cause: error },
  );
}
