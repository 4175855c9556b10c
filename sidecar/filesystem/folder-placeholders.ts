// Folders of a flat bucket: an object `name/` says that there is one, and any object below it does too.

import type { ObjectInfo } from "../bucket/bucket.ts";
import { isBucketError } from "../bucket/errors.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { Folders } from "./folders.ts";
import { isDirectory, type DirectoryNode, type Node } from "./nodes.ts";
import type { Patcher } from "./patch.ts";
import { removeObject } from "./remove-object.ts";
import { isTrusted } from "./trust.ts";

export class FolderPlaceholders implements Folders {
  readonly #context: Context;
  readonly #patcher: Patcher;

  constructor(context: Context, patcher: Patcher) {
    this.#context = context;
    this.#patcher = patcher;
  }

  /** An object's limits are all there are. */
  checkName(): void {}

  async make(directory: DirectoryNode, operationId: string): Promise<void> {
    try {
      await this.#patcher.writePlaceholder(directory, operationId);
    } catch (error) {
      if (isBucketError(error, "precondition-failed"))
        throw new FileSystemError("EEXIST", `${directory.name} was made elsewhere`, error);
      throw error;
    }
  }

  async remove(parent: DirectoryNode, directory: DirectoryNode): Promise<void> {
    const prefix = this.#context.tree.objectName(directory);
    const objects = await this.#firstObjects(prefix);
    if (objects.some(({ name }) => name !== prefix))
      throw new FileSystemError("ENOTEMPTY", `${directory.name} has entries`);
    await this.keep(parent, directory);
    const placeholder = objects.find(({ name }) => name === prefix);
    if (placeholder !== undefined) await removeObject(this.#context, placeholder);
  }

  /** A folder that exists only because objects lie below it must not vanish when we take the last one away. */
  async keep(directory: DirectoryNode, leaving: Node): Promise<void> {
    const { tree, bucket, monotonicMs } = this.#context;
    if (directory === tree.root) return;
    if (directory.placeholder !== undefined && directory.placeholder !== "absent") return;
    for (const child of directory.children.values()) {
      const inBucket = isDirectory(child) ? child.confirmed !== undefined : child.version !== undefined;
      if (child !== leaving && inBucket && isTrusted(child.confirmed, monotonicMs())) return;
    }
    try {
      await this.#patcher.writePlaceholder(directory);
    } catch (error) {
      if (!isBucketError(error, "precondition-failed")) throw error;
      directory.placeholder = (await bucket.stat(tree.objectName(directory))).value;
    }
  }

  /** At least two objects below `prefix`, if there are. Pages may be shorter than asked for and still not the last. */
  async #firstObjects(prefix: string): Promise<readonly ObjectInfo[]> {
    const objects: ObjectInfo[] = [];
    for (let pageToken: string | undefined; ;) {
      const page = await this.#context.bucket.list({
        prefix,
        pageSize: 2,
        ...(pageToken ? { pageToken } : {}),
      });
      objects.push(...page.objects);
      if (objects.length >= 2 || page.nextPageToken === undefined) return objects;
      pageToken = page.nextPageToken;
    }
  }
}
