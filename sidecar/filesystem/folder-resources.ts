// Folders of a hierarchical bucket: resources of their own, which exist without anything in them (RULES 34).
//
// They carry no metadata. Where a folder's owner, mode or times are not those the mount gives every folder, an object
// `name/` in it has them, as on a flat bucket; the service allows that, and counts it as an entry.

import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Folders } from "./folders.ts";
import { checkFolderName, WORKING_FOLDER } from "./names.ts";
import type { DirectoryNode } from "./nodes.ts";
import type { Patcher } from "./patch.ts";
import { removeObject, type ObjectVersion } from "./remove-object.ts";
import { isTrusted } from "./trust.ts";

/** In what other mounts work, innermost first. */
const WORKING_FOLDERS = ["tails/", "exchange/", ""];

interface Left {
  readonly object: ObjectVersion | undefined;
  readonly folders: readonly string[];
}

export class FolderResources implements Folders {
  readonly #context: Context;
  readonly #patcher: Patcher;

  constructor(context: Context, patcher: Patcher) {
    this.#context = context;
    this.#patcher = patcher;
  }

  checkName(folderName: string): void {
    checkFolderName(folderName);
  }

  async make(directory: DirectoryNode): Promise<void> {
    const { tree } = this.#context;
    const name = tree.objectName(directory);
    await this.#makeResource(directory, name);
    directory.placeholder = "absent";
    if (!this.#hasOwnAttributes(directory)) return;
    try {
      await this.#patcher.writePlaceholder(directory);
    } catch (error) {
      await this.#takeBack(name);
      throw error;
    }
  }

  async remove(_parent: DirectoryNode, directory: DirectoryNode): Promise<void> {
    const name = this.#context.tree.objectName(directory);
    const known = knownObject(directory);
    if (known === undefined && (await this.#removeResource(name))) return;
    const left = await this.#left(directory, known);
    if (left === undefined) throw new FileSystemError("ENOTEMPTY", `${directory.name} has entries`);
    for (const folder of left.folders) await this.#removeResource(folder);
    if (left.object !== undefined) await removeObject(this.#context, left.object);
    directory.placeholder = "absent";
    if (await this.#removeResource(name)) return;
    // Somebody has put something in it that we did not know of: then it stays, with its attributes.
    if (known !== undefined) await this.#patcher.writePlaceholder(directory);
    throw new FileSystemError("ENOTEMPTY", `${directory.name} has entries`);
  }

  /** It stays by itself. */
  keep(): Promise<void> {
    return Promise.resolve();
  }

  async #makeResource(directory: DirectoryNode, name: string): Promise<void> {
    const { tree, bucket } = this.#context;
    try {
      // The mount's own folder need not exist before there is something in it.
      const above = directory.parent === tree.root && tree.objectName(tree.root) !== "";
      const made = await bucket.folders.make(name, { above });
      tree.confirmFolder(directory, made.value.createdMs, made.dateMs);
    } catch (error) {
      if (isBucketError(error, "already-exists"))
        throw new FileSystemError("EEXIST", `${directory.name} was made elsewhere`, error);
      throw error;
    }
  }

  /** What of a folder that seems to be empty has to be removed before it. Undefined: it has entries. */
  async #left(directory: DirectoryNode, known: ObjectVersion | undefined): Promise<Left | undefined> {
    const now = this.#context.monotonicMs();
    const children = [...directory.children.values()];
    if (children.some(({ confirmed }) => isTrusted(confirmed, now))) return undefined;
    if (known !== undefined && children.length === 0 && isTrusted(directory.listed, now))
      return { object: known, folders: [] };
    return this.#leftInBucket(this.#context.tree.objectName(directory));
  }

  /** False if something is in it. */
  async #removeResource(name: string): Promise<boolean> {
    try {
      await this.#context.bucket.folders.remove(name);
      return true;
    } catch (error) {
      if (isBucketError(error, "not-empty")) return false;
      throw error;
    }
  }

  /** Besides its own object a folder may have those that another mount needed for its work. */
  async #leftInBucket(name: string): Promise<Left | undefined> {
    const working = `${name}${WORKING_FOLDER}/`;
    const left: { object: ObjectVersion | undefined; folders: string[] } = { object: undefined, folders: [] };
    for (let pageToken: string | undefined; ;) {
      const page = await this.#context.bucket.list({
        prefix: name,
        delimiter: "/",
        folders: true,
        pageSize: 3,
        ...(pageToken === undefined ? {} : { pageToken }),
      });
      left.object ??= page.objects.find((object) => object.name === name);
      if (page.prefixes.includes(working)) left.folders = WORKING_FOLDERS.map((folder) => working + folder);
      const entries = [...page.prefixes, ...page.objects.map((object) => object.name)];
      if (entries.some((entry) => entry !== name && entry !== working)) return undefined;
      if (page.nextPageToken === undefined) return left;
      pageToken = page.nextPageToken;
    }
  }

  /** A folder that was not made whole is not there. */
  async #takeBack(name: string): Promise<void> {
    try {
      await this.#removeResource(name);
    } catch (err) {
      this.#context.log.warn({ folder: name, err }, "a folder whose attributes were not stored stays");
    }
  }

  #hasOwnAttributes({ uid, gid, mode }: DirectoryNode): boolean {
    const { directoryDefaults } = this.#context;
    return uid !== directoryDefaults.uid || gid !== directoryDefaults.gid || mode !== directoryDefaults.mode;
  }
}

function knownObject({ placeholder }: DirectoryNode): ObjectVersion | undefined {
  return placeholder === "absent" ? undefined : placeholder;
}
