// The serve mount, assembled: a file system for its kernel to read, and a witness for the rest of the tree to tell.

import type { Contested } from "../contested.ts";
import type { Context } from "../context.ts";
import type { FileData } from "../file-data.ts";
import type { FileSystem } from "../filesystem.ts";
import type { Lookup } from "../lookup.ts";
import type { DirectoryNode, FileNode, Node } from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { RecentlyReplaced } from "./recently-replaced.ts";
import { ServedFileSystem } from "./served-file-system.ts";
import { ServedNodes } from "./served-nodes.ts";
import { SetAside } from "./set-aside.ts";
import { VersionBytes } from "./version-bytes.ts";
import type { SealedCopy, Witness } from "./witness.ts";

export interface ServeMountParts {
  readonly lookup: Lookup;
  readonly contested: Contested;
  readonly openFiles: OpenFiles;
  readonly data: FileData;
}

export class ServeMount implements Witness {
  readonly fileSystem: FileSystem;
  readonly #nodes: ServedNodes;
  readonly #setAside: SetAside;
  readonly #replaced: RecentlyReplaced;

  constructor(context: Context, { lookup, contested, openFiles, data }: ServeMountParts) {
    const nodes = new ServedNodes(context.tree, (version) => setAside.forgotten(version));
    const setAside = new SetAside(context, { openFiles, nodes });
    const bytes = new VersionBytes({ openFiles, data, nodes, setAside, monotonicMs: context.monotonicMs });
    const replaced = new RecentlyReplaced(context.monotonicMs);
    this.#nodes = nodes;
    this.#setAside = setAside;
    this.#replaced = replaced;
    const parts = { lookup, contested, nodes, bytes, setAside, replaced };
    this.fileSystem = new ServedFileSystem(context, parts);
  }

  replacedElsewhere(parent: DirectoryNode, name: string): void {
    this.#replaced.note(parent, name);
  }

  /** Only what the kernel knows by number can be read. */
  async beforeWrite(node: FileNode): Promise<void> {
    if (this.#nodes.known(node) !== undefined) await this.#setAside.secure(node);
  }

  takeOver(node: FileNode): Promise<boolean> {
    return this.#setAside.takeOver(node);
  }

  superseded(node: FileNode): void {
    this.#setAside.superseded(node);
    if (node.parent !== undefined) this.#nodes.nameChanged(node.parent, node.name);
  }

  atRest(node: FileNode): void {
    const sealed = this.#setAside.giveBack(node);
    if (sealed !== undefined) this.#setAside.discard(sealed);
  }

  giveBack(node: FileNode): SealedCopy | undefined {
    return this.#setAside.giveBack(node);
  }

  nameChanged(parent: DirectoryNode, name: string): void {
    this.#nodes.nameChanged(parent, name);
  }

  attributesChanged(node: Node): void {
    this.#nodes.attributesChanged(node);
  }

  renamed(node: FileNode): void {
    this.#setAside.renamed(node);
  }

  /** Of a folder that is gone no number comes back. */
  close(): void {
    this.#nodes.forgetAll();
    this.#setAside.close();
  }

  told(): Promise<void> {
    return this.#nodes.told();
  }
}
