// Folder renames that an earlier worker of this mount had begun and may have finished.
//
// Its nodes are here again, under the old name or the new one; what is open below must stand for the objects as they are
// called now, or its next upload would meet a stranger.

import type { OwedRename } from "../copies/owed-work.ts";
import type { Context } from "./context.ts";
import { isDirectory, isFile, type DirectoryNode, type FileNode, type Node } from "./nodes.ts";

export class MovedFolders {
  readonly #context: Context;
  /** Finished at the start, by what they were called before: a request for it may come again. */
  readonly #finished = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** A rename of an earlier worker, or of an earlier run, is over. */
  async finished({ source, destination }: OwedRename): Promise<void> {
    const before = this.#folderAt(source);
    if (before !== undefined) this.#finished.set(source, destination);
    const directory = before ?? this.#folderAt(destination);
    if (directory !== undefined) await this.#adopt(directory, destination);
  }

  /** Whether a rename that was begun before is over. What is open below stands for the moved objects then. */
  async areMoved(directory: DirectoryNode, source: string, destination: string): Promise<boolean> {
    if (this.#finished.get(source) === destination) {
      this.#finished.delete(source);
      return true;
    }
    if ((await this.#exists(source)) || !(await this.#exists(destination))) return false;
    await this.#adopt(directory, destination);
    return true;
  }

  async #exists(folder: string): Promise<boolean> {
    const { bucket, hierarchical } = this.#context;
    if (hierarchical) return (await bucket.folders.stat(folder)).value !== undefined;
    for (let pageToken: string | undefined; ;) {
      const page = await bucket.list({ prefix: folder, pageSize: 1, ...(pageToken ? { pageToken } : {}) });
      if (page.objects.length > 0) return true;
      pageToken = page.nextPageToken;
      if (pageToken === undefined) return false;
    }
  }

  /** Of what nobody uses the next look-up asks. */
  async #adopt(directory: DirectoryNode, name: string): Promise<void> {
    const { bucket } = this.#context;
    directory.placeholder = directory.patchOwed ? (await bucket.stat(name)).value : undefined;
    for (const child of directory.children.values()) {
      child.confirmed = undefined;
      if (isDirectory(child)) await this.#adopt(child, `${name}${child.name}/`);
      else if (isFile(child) && isInUse(child)) await this.#adoptFile(child, name + child.name);
    }
  }

  async #adoptFile(node: FileNode, object: string): Promise<void> {
    const { bucket, tree, store } = this.#context;
    const { version, copy } = node;
    if (version === undefined || version.name === object) return;
    const { value, dateMs } = await bucket.stat(object);
    if (value === undefined || value.crc32c !== version.crc32c || value.size !== version.size) return;
    tree.confirmOwn(node, value, dateMs);
    if (copy === undefined) return;
    copy.version = value;
    store.renamed(copy, value);
  }

  #folderAt(name: string): DirectoryNode | undefined {
    const { tree } = this.#context;
    const prefix = tree.objectName(tree.root);
    let node: Node | undefined = tree.root;
    for (const part of name.slice(prefix.length).split("/").slice(0, -1))
      node = isDirectory(node) ? node.children.get(part) : undefined;
    return isDirectory(node) ? node : undefined;
  }
}

function isInUse({ opened, copy, patchOwed }: FileNode): boolean {
  return opened.size > 0 || patchOwed || copy?.dirty === true;
}
