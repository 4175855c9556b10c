// From a changed file to an object: what close and fsync wait for.
//
// One upload per file at a time; flushes that arrive meanwhile share the next one. Every upload names the
// generation it replaces. What happens when that no longer holds is decided here (DESIGN.md §5): a file written
// as a whole supersedes, an edited one never silently does.

import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Dated, Expected, ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import { sameStamp } from "../copies/stamp.ts";
import { stillEquals, takeAside, takeSnapshot, type Snapshot, type Summed } from "../copies/snapshot.ts";
import { SharedRun } from "../lib/shared-run.ts";
import { Appender } from "./append.ts";
import { storedAttributes, type Context } from "./context.ts";
import { insertBeside } from "./conflict-object.ts";
import { contentTypeOf } from "./content-type.ts";
import { FileSystemError } from "./errors.ts";
import { metadataForInsert, OPERATION_KEY } from "./metadata.ts";
import { movesEnded, type FileNode } from "./nodes.ts";
import { asItIs, noteTries } from "./owing.ts";
import type { Patcher } from "./patch.ts";
import { forgetSpilled, takeSpilled, type Spilled } from "./spill.ts";
import { orStale } from "./stale.ts";
import { UploadProperties } from "./upload-properties.ts";
import type { VersionTimes } from "./version-times.ts";

/** A whole file keeps trying to supersede others for this long: below the 30 s after which web servers lose patience. */
const SUPERSEDE_MS = 20_000;
/** Between tries, at most: two who fight for one name must get out of step. */
const SUPERSEDE_PAUSE_MS = 20;

/** An object made, and the attributes that went with it. */
interface Inserted extends Dated<ObjectInfo> {
  readonly attributes: ReturnType<typeof storedAttributes>;
}

export class Saver {
  readonly #context: Context;
  readonly #patcher: Patcher;
  readonly #times: VersionTimes;
  readonly #properties: UploadProperties;
  readonly #appender: Appender;

  constructor(context: Context, patcher: Patcher, times: VersionTimes) {
    this.#context = context;
    this.#patcher = patcher;
    this.#times = times;
    this.#properties = new UploadProperties(context, times);
    this.#appender = new Appender(context, this.#properties);
  }

  /** Resolves when the bucket holds every byte and attribute the file had when this was called. */
  save(node: FileNode): Promise<void> {
    node.save ??= new SharedRun(async () => {
      await movesEnded(node);
      await node.changes.run(() => this.saveInTurn(node));
    });
    return node.save.request();
  }

  /**
   * As `save`, for those who hold the turn of the file's changes. Where acknowledged bytes lie aside because somebody writes
   * to the file again, they are what is saved; what is being written is acknowledged later.
   */
  async saveInTurn(node: FileNode): Promise<void> {
    const { copy, owed } = node;
    if (node.conflict !== undefined) return this.#saveConflict(node, node.conflict);
    if (node.following !== undefined) return this.#saveFollowing(node);
    if (!this.#context.tree.isAttached(node)) return;
    if (owed?.aside === true) return this.#uploadAside(node, owed.id);
    if (copy === undefined || copy.retired || !(node.version === undefined || (await this.changed(node)))) {
      await this.#patcher.flushInTurn(node);
      return;
    }
    try {
      await this.#upload(node);
      node.saveError = undefined;
    } catch (error) {
      // Beside the other version ours is safe; everywhere else it is still to be saved.
      if (node.conflict === undefined) copy.dirty = true;
      node.saveError = error;
      throw error;
    }
  }

  /** A store in the same tick of the clock as the last upload's reading does not move ctime: then the bytes tell. */
  async changed(node: FileNode): Promise<boolean> {
    const { copy, lastSummed } = node;
    if (copy === undefined || copy.changed()) return copy !== undefined;
    if (!copy.whole || lastSummed === undefined || lastSummed.rested) return false;
    if (!(await stillEquals(copy, lastSummed))) return true;
    node.lastSummed = { ...lastSummed, rested: true };
    return false;
  }

  async #saveFollowing(node: FileNode): Promise<void> {
    try {
      await this.#appender.follow(node);
      node.saveError = undefined;
    } catch (error) {
      if (node.copy !== undefined) node.copy.dirty = true;
      node.saveError = error;
      throw error;
    }
  }

  /** What is written after a conflict follows to where the rest was put, and is reported again (RULES 9). */
  async #saveConflict(node: FileNode, conflict: ObjectInfo): Promise<void> {
    const { bucket, store, nextOperationId } = this.#context;
    const { copy, saveError } = node;
    if (copy?.changed() === true) {
      const snapshot = await takeSnapshot(copy, store.clonePath(copy));
      try {
        const options = { operationId: nextOperationId() };
        const saved = await bucket.insert(
          conflict.name,
          snapshot.source,
          conflict.generation,
          conflict,
          options,
        );
        node.conflict = saved.value;
        copy.settle(saved.value, snapshot.stamp);
      } finally {
        await snapshot.dispose();
      }
    }
    throw saveError ?? new FileSystemError("ESTALE", `replaced elsewhere; kept as ${conflict.name}`);
  }

  async #upload(node: FileNode): Promise<void> {
    const { store } = this.#context;
    const { copy } = node;
    if (copy === undefined) return;
    await store.refuseIfCutShort(copy);
    const beganMs = this.#context.monotonicMs();
    const unsure = node.unsureAppend !== undefined;
    const spilled = node.spilled && (await takeSpilled(node, this.#context));
    if (spilled !== undefined) return this.#uploadSpilled(node, spilled);
    const appended = node.spilled ? undefined : await this.#appender.append(node);
    if (appended === "behind another") return unsure ? this.#appender.follow(node) : undefined;
    if (appended !== undefined) {
      await this.#saved(node, appended.snapshot, appended, beganMs);
      return unsure && node.copy?.changed() === true ? this.#upload(node) : undefined; // and what came since
    }
    if (!copy.whole && node.fetcher !== undefined) await orStale(node.fetcher.whole());
    for (let attempt = 1; ; attempt += 1) {
      const snapshot = await takeSnapshot(copy, store.clonePath(copy), attempt > 2);
      try {
        // Somebody has begun to write to it meanwhile: what was acknowledged lies aside.
        if (node.owed?.aside === true) return await this.#uploadAside(node, node.owed.id);
        const startedMs = this.#context.monotonicMs();
        const saved = await this.#insertUntilSettled(node, snapshot);
        await this.#saved(node, snapshot, saved, startedMs);
        return;
      } catch (error) {
        // The file changed while it was being sent: read again (RULES 3), from a clone if it never rests.
        const changed = !sameStamp(copy.observe(), snapshot.stamp);
        if (!isBucketError(error, "checksum") || !changed || attempt > 2) throw error;
      } finally {
        await snapshot.dispose();
      }
    }
  }

  async #uploadAside(node: FileNode, id: string): Promise<void> {
    const { store, monotonicMs } = this.#context;
    const snapshot = await takeAside(id, await store.owed.openAside(id));
    try {
      const startedMs = monotonicMs();
      const made = await this.#insertUntilSettled(node, snapshot);
      await this.#saved(node, (await asItIs(node, snapshot)) ?? snapshot, made, startedMs);
    } finally {
      await snapshot.dispose();
    }
  }

  async #uploadSpilled(node: FileNode, spilled: Spilled): Promise<void> {
    try {
      const startedMs = this.#context.monotonicMs();
      const made = await this.#insertUntilSettled(node, spilled);
      await this.#saved(node, spilled, made, startedMs);
    } finally {
      await spilled.dispose();
    }
  }

  async #insertUntilSettled(node: FileNode, snapshot: Snapshot | Spilled): Promise<Inserted> {
    const endMs = this.#context.monotonicMs() + SUPERSEDE_MS;
    let expected: Expected = node.version?.generation ?? node.replaces ?? "absent";
    for (;;) {
      try {
        return await this.#insert(node, snapshot, expected);
      } catch (error) {
        if (!isBucketError(error, "precondition-failed")) throw error;
        if (this.#context.monotonicMs() > endMs) {
          throw new FileSystemError("EIO", `${node.name} is being replaced elsewhere again and again`, error);
        }
        expected = await this.#afterConflict(node, snapshot, expected, error);
        await delay(Math.random() * SUPERSEDE_PAUSE_MS);
      }
    }
  }

  async #insert(node: FileNode, snapshot: Snapshot | Spilled, expected: Expected): Promise<Inserted> {
    const { tree, bucket, owed, nextOperationId, journal } = this.#context;
    const { parent, name } = node;
    const copyId = snapshot.aside ?? node.copy?.id;
    if (parent === undefined || copyId === undefined)
      throw new FileSystemError("ESTALE", "the file has no name any more");
    const object = tree.objectName(node);
    const operationId = nextOperationId();
    const { attributes, properties } = this.#properties.of(node, object, snapshot);
    let session = false;
    const onSession = async ({ url }: { url: string }): Promise<void> => {
      session = true;
      await owed.uploadStarted(copyId, object, operationId, url);
    };
    const endChange = tree.beginChange(parent, name);
    node.becomeUnsure(operationId); // a worker that takes over would not know whether it arrived
    journal.note(node);
    journal.commit();
    try {
      await noteTries(node, object, this.#context); // in case the machine dies, too
      const options = { operationId, onSession };
      const made = await ("parts" in snapshot
        ? bucket.compose(object, snapshot.parts, expected, properties, options)
        : bucket.insert(object, snapshot.source, expected, properties, options));
      return { ...made, attributes }; // the try is known by its id until the file has the version
    } catch (error) {
      if (!isBucketError(error) || !error.uncertain) node.becomeSureOf(operationId);
      throw error;
    } finally {
      endChange();
      if (session) await owed.uploadEnded(copyId);
    }
  }

  async #saved(
    node: FileNode,
    snapshot: Summed & Pick<Snapshot, "aside">,
    inserted: Inserted,
    startedMs: number,
  ): Promise<void> {
    const { value, dateMs, attributes } = inserted;
    const { tree, store, monotonicMs, log } = this.#context;
    const replaced = node.version?.generation ?? node.replaces;
    node.replaces = undefined;
    node.exclusive = false;
    const { stamp, size, crc32c, rested, aside } = snapshot;
    const copy = aside === undefined ? node.copy : undefined;
    // Where nothing went unseen, what was changed since is known without looking.
    node.lastSummed = copy?.changedUnseen === true ? { stamp, size, crc32c, rested } : undefined;
    if (aside === undefined) forgetSpilled(node, this.#context);
    this.#context.witness().superseded(node);
    tree.confirmOwn(node, value, dateMs);
    node.becomeSureOf(value.metadata[OPERATION_KEY] ?? ""); // others may still arrive, once the name is free (RULES 6)
    copy?.settle(value, stamp);
    this.#context.journal.note(node);
    // Of a file that was written to meanwhile a later run must not think that the bucket has it all.
    // With --write-back the row says what is acknowledged: it is changed where that is known (OwedUploads).
    const recorded =
      this.#context.owing() !== undefined && (node.owed !== undefined || node.acknowledging.busy);
    if (copy?.changed() === false && !recorded) void store.uploaded(copy, value.name);
    store.kept.superseded(value.name);
    node.parent?.postponed.delete(node.name);
    this.#times.note(value.name, value.size, attributes.modifyTimeNs);
    log.info(
      {
        object: value.name,
        generation: String(value.generation),
        ...(replaced === undefined ? {} : { replaced: String(replaced) }),
        bytes: value.size,
        ms: Math.round(monotonicMs() - startedMs),
      },
      "upload done",
    );
    await this.#attributesSaved(node, attributes);
  }

  /** Attributes went with the bytes, but for those set meanwhile; of a file written to meanwhile the next upload has them. */
  async #attributesSaved(node: FileNode, sent: Inserted["attributes"]): Promise<void> {
    const all = isDeepStrictEqual(sent, storedAttributes(node));
    if (!all && node.copy?.changed() !== true) return this.#patcher.owe(node);
    if (!node.patchOwed || node.version === undefined) return;
    node.patchOwed = false;
    await this.#context.owed.patchDone(node.version.name);
  }

  /** Another writer was there first. Answers what to expect next, or throws what close reports. */
  async #afterConflict(
    node: FileNode,
    snapshot: Snapshot | Spilled,
    expected: Expected,
    error: Error,
  ): Promise<Expected> {
    const { bucket, tree, log } = this.#context;
    const object = tree.objectName(node);
    const { value: live } = await bucket.stat(object);
    const found = live?.generation;
    const fields = { object, expected: String(expected), found: String(found ?? "absent") };
    const operation = live?.metadata[OPERATION_KEY];
    if (live && operation !== undefined && (node.unsure.has(operation) || tree.isBuried(live))) {
      log.info(fields, "an earlier upload had arrived after all");
      return found ?? "absent";
    }
    if (node.exclusive && live !== undefined) {
      throw new FileSystemError(
        "EEXIST",
        `${object} was created elsewhere meanwhile; nothing was replaced`,
        error,
      );
    }
    const whole = node.owed === undefined ? node.writtenWhole : node.owed.replacing !== "edited";
    if (whole || node.version === undefined || live === undefined) {
      log.warn(fields, "a whole file replaces another writer's version");
      return found ?? "absent";
    }
    const conflict = await this.#keepBoth(node, snapshot, object);
    log.error({ ...fields, conflict }, "an edited file was replaced elsewhere; both are kept");
    throw new FileSystemError(
      "ESTALE",
      `${object} was replaced elsewhere; this version is kept as ${conflict}`,
      error,
    );
  }

  /** Ours goes beside theirs, and this node leaves the name to theirs (RULES 9). */
  async #keepBoth(node: FileNode, snapshot: Snapshot | Spilled, object: string): Promise<string> {
    const { tree, kernel } = this.#context;
    const { parent, name } = node;
    if ("parts" in snapshot) throw new FileSystemError("ESTALE", `${object} was replaced elsewhere`);
    const metadata = metadataForInsert(storedAttributes(node), this.#context.fileDefaults, node.version);
    const properties = { contentType: contentTypeOf(name), metadata };
    const kept = await insertBeside(this.#context, object, snapshot.source, properties);
    node.conflict = kept;
    if (snapshot.aside === undefined) node.copy?.settle(kept, snapshot.stamp);
    tree.detach(node);
    if (parent !== undefined) {
      parent.listed = undefined;
      void kernel().entryChanged(parent.id, name);
    }
    return kept.name;
  }
}
