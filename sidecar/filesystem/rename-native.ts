// Renaming a folder of a hierarchical bucket: one operation of the service, which moves everything at once.
//
// Until it is over nobody can say under which of its two names the bucket has what is below, so questions wait, and
// answers to earlier ones are no news (`overlaid`); what is known and trusted is there all the while. The intent is in
// copies.db from before the request until the answer, so that the next start can tell what became of it.

import { setTimeout as delay } from "node:timers/promises";
import type { FolderInfo, ObjectInfo } from "../bucket/bucket.ts";
import { BucketError, isBucketError } from "../bucket/errors.ts";
import type { OwedRename } from "../copies/owed-work.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Moving } from "./move-objects.ts";
import { nodesBelow } from "./nodes-below.ts";
import { isDirectory, isFile, isLocal, type DirectoryNode, type ObjectNode } from "./nodes.ts";
import type { Patcher } from "./patch.ts";

/** How long one question waits for an operation before it is looked whether the mount is to stop. */
const PATIENCE_MS = 1000;
const RETRY_MS = 1000;
const PROBES_AT_A_TIME = 16;

export class NativeRenamer {
  readonly #context: Context;
  readonly #patcher: Patcher;
  /** Whether this service leaves objects their generation. Undefined until one was looked at. */
  #keepsGenerations: boolean | undefined;

  constructor(context: Context, patcher: Patcher) {
    this.#context = context;
    this.#patcher = patcher;
  }

  /**
   * `place` is called when the folder has moved, or once `answerAfterMs` have passed in an operation that was begun.
   * Nothing below is being changed, and nothing will be until this is over.
   */
  async move(node: DirectoryNode, moving: Moving, place: () => void, answerAfterMs: number): Promise<void> {
    const { owed } = this.#context;
    const { source, destination } = moving;
    let [late, begun] = [false, false];
    const timer = setTimeout(() => {
      late = true;
      if (begun) place();
    }, answerAfterMs);
    const onBegun = (): void => {
      begun = true;
      if (late) place();
    };
    try {
      const folder = await this.#look(source);
      await owed.oweRename({ source, destination }, this.#patcher.followingBelow(node, destination));
      node.overlaid = true;
      await this.#rename(folder, moving, onBegun);
    } catch (error) {
      // What is still under way as we are stopped is looked after by the next start.
      if (this.#context.stopping()) throw error;
      moving.failed = true;
      node.confirmed = undefined;
      await owed.renameUndone({ source, destination }, []); // its versions are those that they were
      throw error;
    } finally {
      clearTimeout(timer);
    }
    await this.#carry(node, moving);
    place();
    const patches = this.#patcher.owedBelow(node);
    if (patches.length > 0) await owed.renameSettled({ source, destination }, patches);
  }

  /** Sees to it that a rename of an earlier run is over, whatever had become of it. */
  async finish(rename: OwedRename): Promise<void> {
    const { bucket, owed, log, stopping } = this.#context;
    const { source, destination } = rename;
    for (let uncertain = false; ;) {
      try {
        const { value: folder } = await bucket.folders.stat(source);
        if (folder === undefined) return await owed.folderRenamed(rename, true); // or taken away by somebody
        if (folder.renaming === undefined) await this.#begin(folder, destination, { uncertain });
        else await this.#await(folder.renaming);
      } catch (error) {
        if (isRefusal(error)) {
          log.error(
            { source, destination, err: error },
            "a folder rename of an earlier run cannot be finished",
          );
          return await owed.renameDone(source);
        }
        if (stopping()) throw error;
        uncertain ||= error instanceof BucketError && error.uncertain;
        log.warn({ source, destination, err: error }, "a folder rename is delayed");
        await delay(RETRY_MS);
      }
    }
  }

  async #look(source: string): Promise<FolderInfo> {
    const { value } = await this.#context.bucket.folders.stat(source);
    if (value === undefined) throw new FileSystemError("ENOENT", `${source} was removed elsewhere`);
    return value;
  }

  /** Once begun it is not given up: a program may have been told that it is done. */
  async #rename(folder: FolderInfo, moving: Moving, onBegun: () => void): Promise<void> {
    const { log, stopping } = this.#context;
    for (;;) {
      try {
        await this.#begin(folder, moving.destination, {
          uncertain: moving.answered,
          replace: !moving.noReplace,
          onBegun,
        });
        return;
      } catch (error) {
        if (!moving.answered || isRefusal(error) || stopping()) throw error;
        log.warn({ source: folder.name, err: error }, "a folder rename is begun again");
        await delay(RETRY_MS);
      }
    }
  }

  async #begin(
    folder: FolderInfo,
    destination: string,
    options: { uncertain: boolean; replace?: boolean; onBegun?: () => void },
  ): Promise<void> {
    const { folders } = this.#context.bucket;
    try {
      const { operation } = await folders.rename(folder, destination, options);
      options.onBegun?.();
      if (operation !== undefined) await this.#await(operation);
    } catch (error) {
      if (!isBucketError(error, "already-exists") || options.replace === undefined) throw error;
      if (!options.replace)
        throw new FileSystemError("EEXIST", `${destination} was made elsewhere meanwhile`, error);
      await folders.remove(destination); // `not-empty`, unless it may be replaced
      await this.#begin(folder, destination, { ...options, replace: false });
    }
  }

  async #await(operation: string): Promise<void> {
    const { bucket, log, stopping } = this.#context;
    for (;;) {
      try {
        if (await bucket.folders.renamed(operation, PATIENCE_MS)) return;
        if (stopping()) throw new FileSystemError("EIO", "the mount is being stopped");
      } catch (error) {
        // Of a question that was not answered; why a rename failed is certain.
        if (!isBucketError(error) || !error.uncertain || stopping()) throw error;
        log.warn({ operation, err: error }, "the state of a folder rename is not known");
        await delay(RETRY_MS);
      }
    }
  }

  /** Every object that is known below the folder is the same version under another name. */
  async #carry(node: DirectoryNode, { source, destination }: Moving): Promise<void> {
    const objects = [...objectsBelow(node)];
    if (this.#keepsGenerations === undefined) {
      this.#keepsGenerations = await this.#probe(objects, source, destination);
      this.#context.log.info({ keepGeneration: this.#keepsGenerations }, "objects of a renamed folder");
    }
    await this.#context.owed.folderRenamed({ source, destination }, this.#keepsGenerations !== false);
    const renamed = <T extends ObjectInfo | undefined>(version: T): T =>
      version?.name.startsWith(source) === true
        ? { ...version, name: destination + version.name.slice(source.length) }
        : version;
    for (const object of objects) {
      if (object.version === undefined) continue;
      this.#tell(object, renamed(object.version));
      if (this.#keepsGenerations !== true) object.confirmed = undefined;
    }
    for (const directory of [...nodesBelow(node)].filter(isDirectory)) {
      if (directory.placeholder !== "absent") directory.placeholder = renamed(directory.placeholder);
    }
    if (this.#keepsGenerations === false) await this.#askAgain(objects.filter(isInUse));
  }

  /** Looks at one object under its new name. Undefined: there is none to look at. */
  async #probe(
    objects: readonly ObjectNode[],
    source: string,
    destination: string,
  ): Promise<boolean | undefined> {
    const known = objects.find(({ version }) => version?.name.startsWith(source) === true)?.version;
    if (known === undefined) return undefined;
    const { bucket, log } = this.#context;
    const name = destination + known.name.slice(source.length);
    try {
      const { value } = await bucket.stat(name);
      if (value?.crc32c !== known.crc32c || value.size !== known.size) return undefined;
      return value.generation === known.generation && value.metageneration === known.metageneration;
    } catch (err) {
      log.warn({ object: name, err }, "nothing is known of the objects of a renamed folder");
      return undefined;
    }
  }

  /** Of those who have it open, a file must not be taken for another one because its generation has changed. */
  async #askAgain(objects: readonly ObjectNode[]): Promise<void> {
    const queue = objects.values();
    const worker = async (): Promise<void> => {
      for (const object of queue) await this.#ask(object);
    };
    await Promise.all(Array.from({ length: PROBES_AT_A_TIME }, worker));
  }

  async #ask(object: ObjectNode): Promise<void> {
    const { version } = object;
    if (version === undefined) return;
    const { bucket, log } = this.#context;
    try {
      const { value } = await bucket.stat(version.name);
      if (value?.crc32c === version.crc32c && value.size === version.size) this.#tell(object, value);
    } catch (err) {
      log.warn({ object: version.name, err }, "nothing is known of an open file in a renamed folder");
    }
  }

  #tell(object: ObjectNode, version: ObjectInfo): void {
    const { store, owed, background, witness } = this.#context;
    object.version = version;
    if (!isFile(object)) return;
    witness().renamed(object);
    if (object.copy?.version !== undefined) {
      object.copy.version = version;
      store.renamed(object.copy, version);
    }
    if (object.parent === undefined) background.start("owe removal", () => owed.oweRemoval(version));
  }
}

function isInUse(object: ObjectNode): boolean {
  return isLocal(object) || (isFile(object) && object.opened.size > 0);
}

/** Those that were unlinked and are still being read, too. */
function* objectsBelow(directory: DirectoryNode): Iterable<ObjectNode> {
  yield* directory.postponed.values();
  for (const child of directory.children.values()) {
    if (isDirectory(child)) yield* objectsBelow(child);
    else yield child;
  }
}

/** Whether trying again later cannot help. */
function isRefusal(error: unknown): boolean {
  return !isBucketError(error, "unavailable", "deadline", "throttled", "unauthenticated");
}
