// Answers about bytes that are kept for a person, whether a mount is running or not.

import fs from "node:fs/promises";
import { randomUUID } from "node:crypto";
import type { Bucket } from "../bucket/bucket.ts";
import { completeFile, IncompleteError, missingRanges } from "../copies/complete.ts";
import type { KeptCopies, KeptCopy } from "../copies/kept.ts";
import type { RetryOutcome } from "../filesystem/retry-kept.ts";
import { ControlError } from "./protocol.ts";
import type { PendingAnswer, PendingEntry, PreparedAnswer, RetryAnswer } from "./requests.ts";
import type { ClientSession } from "./server.ts";

/** Names have up to 1,024 bytes, reasons mostly less: a page stays far below what an answer may have. */
const PAGE_ENTRIES = 500;
const REASON_MAX_LENGTH = 500;
/** Of a file in pieces, so many of the missing ones are told. */
const RANGES_MAX = 20;

export interface KeptAnswersOptions {
  readonly kept: KeptCopies;
  readonly bucket: Pick<Bucket, "read">;
  readonly prefix: string;
  readonly retry: (entry: KeptCopy, replace: boolean) => Promise<RetryOutcome>;
}

/** "pending", "retry", "prepare", "discard"; undefined for everything else. */
export class KeptAnswers {
  readonly #options: KeptAnswersOptions;
  /** Entries somebody is working on. */
  readonly #busy = new Set<string>();

  constructor(options: KeptAnswersOptions) {
    this.#options = options;
  }

  async answer(
    ask: string,
    parameters: Readonly<Record<string, unknown>>,
    session: ClientSession,
  ): Promise<unknown> {
    switch (ask) {
      case "pending":
        return this.#list(parameters["after"]);
      case "retry":
        return this.#alone(parameters["id"], (entry) => {
          refuseOwed(entry);
          return this.#retry(entry, parameters["replace"] === true);
        });
      case "prepare":
        return this.#alone(parameters["id"], (entry) => this.#prepare(entry, session));
      case "discard":
        return this.#alone(parameters["id"], (entry) => {
          refuseOwed(entry);
          return this.#options.kept.drop(entry.id);
        });
      default:
        return undefined;
    }
  }

  async #list(after: unknown): Promise<PendingAnswer> {
    const all = await this.#options.kept.listWithOwed();
    const start = typeof after === "string" ? all.findIndex(({ id }) => id === after) + 1 : 0;
    const page = all.slice(start, start + PAGE_ENTRIES);
    const more = start + page.length < all.length;
    return { entries: page.map((entry) => this.#entry(entry)), next: more ? page.at(-1)?.id : undefined };
  }

  #entry(entry: KeptCopy): PendingEntry {
    const { id, object, state, size, sinceMs, reason, supersededMs, intent } = entry;
    const { prefix } = this.#options;
    const unexplained = {
      failed: "",
      unfinished: "the process that served the mount ended before they were uploaded",
      owed: "acknowledged by --write-back; uploaded by itself",
    }[state];
    return {
      id,
      object,
      name: object.startsWith(prefix) ? object.slice(prefix.length) : object,
      bytes: size,
      sinceMs,
      state,
      why: (reason ?? unexplained).slice(0, REASON_MAX_LENGTH),
      supersededMs,
      base: intent.base === undefined ? undefined : String(intent.base),
      missing: missingRanges(entry)
        ?.slice(0, RANGES_MAX)
        .map(({ start, end }) => [start, end] as const),
    };
  }

  async #retry(entry: KeptCopy, replace: boolean): Promise<RetryAnswer> {
    const { outcome, generation, reason } = await this.#options.retry(entry, replace);
    return { outcome, generation: generation === undefined ? undefined : String(generation), reason };
  }

  async #prepare(entry: KeptCopy, session: ClientSession): Promise<PreparedAnswer> {
    const scratch = `${entry.path.slice(0, -entry.id.length)}${randomUUID()}.whole`;
    const path = await completeFile(entry, this.#options.bucket, scratch);
    if (path !== entry.path) session.atEnd(() => fs.rm(path, { force: true }));
    return { path, modifiedMs: entry.modifiedMs };
  }

  /** One at a time for an entry. Errors are put in words a person can act on. */
  async #alone<T>(id: unknown, work: (entry: KeptCopy) => Promise<T>): Promise<T> {
    if (typeof id !== "string") throw new ControlError("no entry was named");
    if (this.#busy.has(id))
      throw new ControlError("somebody else is working on this entry", "Try again later.");
    this.#busy.add(id);
    try {
      const entry = await this.#options.kept.get(id);
      if (entry === undefined) throw new ControlError("there is no such entry any more");
      return await work(entry);
    } catch (error) {
      if (!(error instanceof IncompleteError)) throw error;
      throw new ControlError(error.message, "Copy that file, or leave the entry where it is.", error);
    } finally {
      this.#busy.delete(id);
    }
  }
}

function refuseOwed({ state }: KeptCopy): void {
  if (state !== "owed") return;
  throw new ControlError(
    "a program was told that these bytes are stored, and they are uploaded by themselves",
    "Mount it, if it is not, and wait: sidemount pending --wait. To get rid of the file, remove it from the folder.",
  );
}
