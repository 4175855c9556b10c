// The serve mount, assembled: a file system for its kernel to read, and a witness for the rest of the tree to tell.

import type { Contested } from "../contested.ts";
import type { Context } from "../context.ts";
import type { FileData } from "../file-data.ts";
import { OpenDirectories } from "../directories.ts";
import type { FileSystem, InodeId } from "../filesystem.ts";
import { restoreDirectories, servedRecords } from "../handover/resume.ts";
import type { HandoverDatabase } from "../../handover/database.ts";
import type { Lookup } from "../lookup.ts";
import { isDirectory, type DirectoryNode, type FileNode, type Node } from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { RecentlyReplaced } from "./recently-replaced.ts";
import { ServedFileSystem } from "./served-file-system.ts";
import { ServedNodes } from "./served-nodes.ts";
import { SetAside } from "./set-aside.ts";
import { VersionBytes } from "./version-bytes.ts";
import type { SealedCopy, Witness } from "./witness.ts";

/** A number for entries of listings that nobody has looked up: what libfuse says when it does not know either. */
const UNKNOWN_INODE = 0xffff_ffff as InodeId;

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
  readonly #directories: OpenDirectories;

  constructor(context: Context, { lookup, contested, openFiles, data }: ServeMountParts) {
    const nodes = new ServedNodes(context.tree, context.journal, (version) => setAside.forgotten(version));
    const setAside = new SetAside(context, { openFiles, nodes });
    const { monotonicMs, store } = context;
    const hasRoom = (bytes: number): Promise<boolean> => store.space.allows(bytes);
    const bytes = new VersionBytes({ openFiles, data, nodes, setAside, monotonicMs, hasRoom });
    const replaced = new RecentlyReplaced(context.monotonicMs);
    this.#nodes = nodes;
    this.#setAside = setAside;
    this.#replaced = replaced;
    const view = {
      shows: (node: Node) => isDirectory(node) || node.version !== undefined,
      inode: (node: Node) => nodes.known(node)?.id ?? UNKNOWN_INODE,
    };
    this.#directories = new OpenDirectories(context, lookup, view, "serve");
    const directories = this.#directories;
    const parts = { lookup, contested, nodes, bytes, setAside, replaced, directories };
    this.fileSystem = new ServedFileSystem(context, parts);
  }

  /** Takes over from an earlier worker. The tree is restored. */
  goOn(database: HandoverDatabase): void {
    this.#nodes.restore(servedRecords(database));
    restoreDirectories(database, "serve", this.#directories, (inode) => this.#nodes.folder(inode));
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
