// Appending to a large object without sending it again, or ever having had it here.
//
// What is new goes up as an object of its own, the tail, and the bucket puts it behind what it has (compose). The
// composed object carries the ids of the last appends, kept by every appender: whether ours is among them tells
// after a lost answer whether it was done (RULES 8). When another writer was first, the tail goes behind theirs, so
// that no line is lost; this file's own bytes are then no version of the object any more, and it leaves the name.

import { setTimeout as delay } from "node:timers/promises";
import type { Dated, ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Copy } from "../copies/copy.ts";
import { takeTail, type Snapshot, type Summed } from "../copies/snapshot.ts";
import { storedAttributes, type Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import { encodeTimes, OPERATION_KEY, type StoredAttributes } from "./metadata.ts";
import type { FileNode } from "./nodes.ts";
import { noteTries } from "./owing.ts";
import { insertTail, removeTail } from "./tails.ts";
import { FETCH_IN_OPEN_BYTES } from "./sizes.ts";
import type { UploadProperties } from "./upload-properties.ts";

/** Ids of the last appends, separated by commas; the number is RULES 8's. */
export const APPENDS_KEY = "sidemount-appends";
const APPENDS_KEPT = 16;
/** How long to go on behind others who append too: below the 30 s after which web servers lose patience. */
const CONTEST_MS = 20_000;
const CONTEST_PAUSE_MS = 50;
/** A file whose end changes this often while it is read is sent as a whole. */
const TAIL_ATTEMPTS = 3;

/** A tail that is behind the version the file was opened at. */
interface Appended extends Dated<ObjectInfo> {
  readonly snapshot: Summed;
  readonly attributes: StoredAttributes;
}

interface Behind {
  readonly snapshot: Snapshot;
  readonly attributes: StoredAttributes;
  /** All of the composed object's. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Whether it may go behind what somebody else has put in the place of the version that is known. */
  readonly mayFollow: (live: ObjectInfo) => boolean;
}

type Version = Pick<ObjectInfo, "name" | "generation">;

export class Appender {
  readonly #context: Context;
  readonly #properties: UploadProperties;

  constructor(context: Context, properties: UploadProperties) {
    this.#context = context;
    this.#properties = properties;
  }

  /**
   * Uploads what was appended, if that is all that changed of a large file; undefined if it is not, or if the object
   * is gone or replaced and no program asked for whatever end there is (O_APPEND): then the file is to be sent as a
   * whole. "behind another": done, and the node has left the name.
   */
  async append(node: FileNode): Promise<Appended | "behind another" | undefined> {
    const { copy, version } = node;
    const arrived = await this.#settleUnsure(node);
    if (arrived !== undefined) return this.#taken(node, arrived, arrived);
    if (copy === undefined || version === undefined || !onlyGrew(node, version)) return undefined;
    const snapshot = await tailBehind(copy, version);
    if (snapshot === undefined) return undefined;
    const object = this.#context.tree.objectName(node);
    const { attributes, properties } = this.#properties.of(node, object, snapshot);
    const endChange = node.parent && this.#context.tree.beginChange(node.parent, node.name);
    let appended: Dated<ObjectInfo> | undefined;
    try {
      appended = await this.#putBehind(node, object, version, {
        snapshot,
        attributes,
        metadata: properties.metadata ?? {},
        mayFollow: (live) => copy.onlyAppendedTo && !node.writtenWhole && !isOurs(node, live),
      });
    } catch (error) {
      // What was summed was changed before it was sent: it is no mere append any more.
      if (isBucketError(error, "checksum") && (await copy.changedSinceMark(snapshot.size))) return undefined;
      throw error;
    } finally {
      endChange?.();
    }
    if (appended === undefined) return undefined;
    return this.#taken(node, appended, { snapshot, attributes });
  }

  #taken(
    node: FileNode,
    made: Dated<ObjectInfo>,
    { snapshot, attributes }: Pick<Appended, "snapshot" | "attributes">,
  ): Appended | "behind another" {
    const { value, dateMs } = made;
    if (value.size === snapshot.size && value.crc32c === snapshot.crc32c)
      return { value, dateMs, snapshot, attributes };
    this.#leaveName(node, value, snapshot);
    return "behind another";
  }

  /** What was appended since the file left its name: behind whatever has the name now. */
  async follow(node: FileNode): Promise<void> {
    const { copy } = node;
    const arrived = await this.#settleUnsure(node);
    if (arrived !== undefined) this.#followed(node, arrived.value, arrived.snapshot);
    const { following } = node;
    if (copy === undefined || following === undefined || !copy.changed()) return;
    if (copy.changedFrom === Number.POSITIVE_INFINITY) return;
    const snapshot = await tailBehind(copy, { ...following.object, size: following.sentBytes });
    if (snapshot === undefined)
      throw new FileSystemError("ESTALE", `${following.object.name} was replaced elsewhere`);
    const { object } = following;
    const appended = await this.#putBehind(node, object.name, object, {
      snapshot,
      attributes: storedAttributes(node),
      metadata: this.#changedNow(object),
      mayFollow: () => true,
    });
    if (appended === undefined) throw new FileSystemError("ESTALE", `${object.name} was removed elsewhere`);
    this.#followed(node, appended.value, snapshot);
  }

  #followed(node: FileNode, object: ObjectInfo, { size, stamp }: Summed): void {
    const { copy, version } = node;
    node.following = { object, sentBytes: size };
    node.becomeSureOf(object.metadata[OPERATION_KEY] ?? "");
    copy?.settle(copy.version ?? version ?? object, stamp); // what is read from it is still what was opened
  }

  /**
   * Finds out what became of an append whose outcome nobody knew; answers it if it was done. Before anything else is
   * read of the file: what changed since that append is what changed since its mark.
   */
  async #settleUnsure(node: FileNode): Promise<Appended | undefined> {
    const { bucket, log } = this.#context;
    const { unsureAppend: unsure, copy } = node;
    if (unsure === undefined || unsure.copy !== copy) return undefined;
    try {
      await bucket.remove(unsure.tail.name, unsure.tail.generation); // from now on it cannot arrive any more
    } catch (error) {
      if (!isBucketError(error, "forbidden", "retained")) throw error;
    }
    const { value: live, dateMs } = await bucket.stat(unsure.object);
    node.unsureAppend = undefined;
    if (live === undefined || !appendsOf(live).includes(unsure.id)) return undefined;
    log.info({ object: unsure.object }, "an earlier append had arrived after all");
    return { value: live, dateMs, snapshot: unsure.snapshot, attributes: unsure.attributes };
  }

  /** The composed object, of `base` or of what has replaced it; undefined if there is none to put it behind. */
  async #putBehind(
    node: FileNode,
    object: string,
    base: ObjectInfo,
    behind: Behind,
  ): Promise<Dated<ObjectInfo> | undefined> {
    const { nextOperationId, background, journal } = this.#context;
    const tail = await insertTail(this.#context, behind.snapshot);
    const id = nextOperationId();
    const { snapshot, attributes } = behind;
    // Until it is answered; a worker that takes over would not know either.
    if (node.copy !== undefined)
      node.unsureAppend = { id, object, tail, copy: node.copy, snapshot, attributes };
    node.becomeUnsure(id);
    journal.note(node);
    journal.commit();
    try {
      await noteTries(node, object, this.#context);
      const composed = await this.#composeUntilSettled(object, base, tail, { ...behind, id });
      node.unsureAppend = undefined;
      if (composed === undefined) node.becomeSureOf(id); // else when the file has that version
      return composed;
    } finally {
      background.start("remove tail", () => removeTail(this.#context, tail));
    }
  }

  async #composeUntilSettled(
    object: string,
    firstBase: ObjectInfo,
    tail: Version,
    behind: Behind & { id: string },
  ): Promise<Dated<ObjectInfo> | undefined> {
    const { bucket, log, monotonicMs } = this.#context;
    const endMs = monotonicMs() + CONTEST_MS;
    const { id: append } = behind;
    for (let base = firstBase, { metadata } = behind; ;) {
      try {
        return await this.#compose(object, base, tail, metadata, append);
      } catch (error) {
        if (!isBucketError(error, "precondition-failed", "not-found")) throw error;
        const { value: live, dateMs } = await bucket.stat(object);
        if (live === undefined || live.contentEncoding !== undefined) return undefined;
        if (appendsOf(live).includes(append)) return { value: live, dateMs };
        const fields = { object, expected: String(base.generation), found: String(live.generation) };
        if (live.generation === base.generation || monotonicMs() > endMs) throw error;
        if (!behind.mayFollow(live)) return undefined;
        log.warn(fields, "what was appended goes behind another writer's version");
        base = live;
        metadata = this.#changedNow(live);
        await delay(Math.random() * CONTEST_PAUSE_MS);
      }
    }
  }

  #compose(
    object: string,
    base: ObjectInfo,
    tail: Version,
    metadata: Readonly<Record<string, string>>,
    append: string,
  ): Promise<Dated<ObjectInfo>> {
    const appends = [...appendsOf(base), append].slice(-APPENDS_KEPT).join(",");
    return this.#context.bucket.compose(
      object,
      [{ name: object, generation: base.generation }, tail],
      base.generation,
      { contentType: base.contentType, metadata: { ...metadata, [APPENDS_KEY]: appends } },
      { operationId: append },
    );
  }

  /** Another writer's attributes stay, but for the time. */
  #changedNow({ metadata }: ObjectInfo): Record<string, string> {
    return { ...metadata, ...encodeTimes(this.#context.wallNs()) };
  }

  #leaveName(node: FileNode, object: ObjectInfo, snapshot: Summed): void {
    const { tree, kernel } = this.#context;
    const { parent, name } = node;
    this.#followed(node, object, snapshot);
    tree.detach(node);
    if (parent === undefined) return;
    parent.listed = undefined;
    void kernel().entryChanged(parent.id, name);
  }
}

/** An upload of the whole file may have arrived without an answer: what is to be put behind is in it already (RULES 4). */
function isOurs({ unsure }: FileNode, { metadata }: ObjectInfo): boolean {
  const operation = metadata[OPERATION_KEY];
  return operation !== undefined && unsure.has(operation);
}

/** Whether all that changed lies behind the end of a version large enough for it to matter. */
function onlyGrew({ copy, size }: FileNode, version: ObjectInfo): boolean {
  if (copy === undefined || copy.changedUnseen || version.contentEncoding !== undefined) return false;
  if (version.size <= FETCH_IN_OPEN_BYTES || size <= version.size) return false;
  return copy.changedFrom >= version.size && copy.changedFrom < Number.POSITIVE_INFINITY;
}

/** Undefined if what lies before the end of `base` was changed too. */
async function tailBehind(copy: Copy, base: ObjectInfo): Promise<Snapshot | undefined> {
  for (let attempt = 0; attempt < TAIL_ATTEMPTS && copy.changedFrom >= base.size; attempt += 1) {
    const tail = await takeTail(copy, base);
    if (tail !== undefined && copy.changedFrom >= base.size) return tail;
  }
  return undefined;
}

function appendsOf({ metadata }: ObjectInfo): string[] {
  return (metadata[APPENDS_KEY] ?? "").split(",").filter(Boolean);
}
