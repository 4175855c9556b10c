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
  readonly #bytes: VersionBytes;
  readonly #replaced: RecentlyReplaced;

  constructor(context: Context, { lookup, contested, openFiles, data }: ServeMountParts) {
    const nodes = new ServedNodes(context.tree, (version) => bytes.forgotten(version));
    const bytes = new VersionBytes(context, { openFiles, data, nodes });
    this.#nodes = nodes;
    this.#replaced = new RecentlyReplaced(context.monotonicMs);
    this.#bytes = bytes;
    this.fileSystem = new ServedFileSystem(context, {
      lookup,
      contested,
      nodes,
      bytes,
      replaced: this.#replaced,
    });
  }

  /** A name went to another writer's version. */
  replacedElsewhere(parent: DirectoryNode, name: string): void {
    this.#replaced.note(parent, name);
  }

  /** Only what the kernel knows by number can be read. */
  async beforeWrite(node: FileNode): Promise<void> {
    if (this.#nodes.known(node) !== undefined) await this.#bytes.secureInTurn(node);
  }

  takeOver(node: FileNode): Promise<boolean> {
    return this.#bytes.takeOver(node);
  }

  superseded(node: FileNode): void {
    this.#bytes.superseded(node);
    if (node.parent !== undefined) this.#nodes.nameChanged(node.parent, node.name);
  }

  atRest(node: FileNode): void {
    this.#bytes.atRest(node);
  }

  giveBack(node: FileNode): SealedCopy | undefined {
    return this.#bytes.giveBack(node);
  }

  nameChanged(parent: DirectoryNode, name: string): void {
    this.#nodes.nameChanged(parent, name);
  }

  attributesChanged(node: Node): void {
    this.#nodes.attributesChanged(node);
  }

  renamed(node: FileNode): void {
    this.#bytes.renamed(node);
  }

  told(): Promise<void> {
    return this.#nodes.told();
  }
}
