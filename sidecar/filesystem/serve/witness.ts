// What a second, read-only face of the tree must hear of: whoever changes bytes or names tells it.

import type { Copy } from "../../copies/copy.ts";
import type { Fetcher } from "../../copies/fetch.ts";
import type { DirectoryNode, FileNode, Node } from "../nodes.ts";

/** A copy of one version that no program writes to, with what brings the bytes that are not here yet. */
export interface SealedCopy {
  readonly copy: Copy;
  readonly fetcher: Fetcher | undefined;
}

export interface Witness {
  /** Bytes of the file's copy may change from now on. Call while the file's `openings` turn is held. */
  beforeWrite(node: FileNode): Promise<void>;
  /**
   * The file is done with its copy, which nobody has open. True if it is taken over, because it still equals the
   * version. Call while the file's `openings` turn is held.
   */
  takeOver(node: FileNode): Promise<boolean>;
  /** The file's name stands for other bytes in the bucket than the version the node still names: call just before it does not. */
  superseded(node: FileNode): void;
  /** The file's copy equals its version again, and nobody has it open. */
  atRest(node: FileNode): void;
  /** What was written was given up: the copy of the version that was put aside before, if one was. */
  giveBack(node: FileNode): SealedCopy | undefined;
  /** The name stands for something else from now on, or for nothing. */
  nameChanged(parent: DirectoryNode, name: string): void;
  attributesChanged(node: Node): void;
  /** The file's object has another name; the node has its new version. */
  renamed(node: FileNode): void;
  /** A name went to another writer's version. */
  replacedElsewhere(parent: DirectoryNode, name: string): void;
  /** Nobody reads any more, and what was put aside for readers may go. */
  close(): void;
  /** Resolves when all who read there know of every change so far. */
  told(): Promise<void>;
}

const NOTHING = Promise.resolve();
const NO = Promise.resolve(false);

/** Nobody looks on. */
export const nobody: Witness = {
  beforeWrite: () => NOTHING,
  takeOver: () => NO,
  superseded: () => undefined,
  atRest: () => undefined,
  giveBack: () => undefined,
  nameChanged: () => undefined,
  attributesChanged: () => undefined,
  renamed: () => undefined,
  replacedElsewhere: () => undefined,
  close: () => undefined,
  told: () => NOTHING,
};
