// What a tree is made of, and whom it tells.

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { NodeJournal } from "./handover/node-record.ts";
import type { OwnerAndMode } from "./metadata.ts";
import type { DirectoryNode, FileNode, Node } from "./nodes.ts";
import type { TrustRule } from "./trust.ts";

export interface TreeOptions {
  readonly prefix: string;
  /** Whether a folder renamed elsewhere may bring versions that are older than those it replaces. */
  readonly hierarchical: boolean;
  readonly fileDefaults: OwnerAndMode;
  readonly directoryDefaults: OwnerAndMode;
  readonly trust: TrustRule;
  /** Where what a successor must know of nodes is noted. */
  readonly journal: NodeJournal;
  readonly monotonicMs: () => number;
  readonly wallNs: () => bigint;
  /** A name the kernel may remember now stands for something else, or nothing. Resolves when the kernel knows. */
  readonly entryChanged: (parent: DirectoryNode, name: string) => Promise<void>;
  readonly attributesChanged: (node: Node) => void;
  /** As `entryChanged`, also where the change was made here: for those who are not told by the call itself. */
  readonly placeChanged: (parent: DirectoryNode, name: string, node: Node) => void;
  /** Whether an object is what an upload that was given up has made (RULES 6): it is as good as not there. */
  readonly isBuried: (object: ObjectInfo) => boolean;
  /** A file lost its name in this folder to a newer version, or its object is gone. */
  readonly replaced: (node: FileNode, from: DirectoryNode) => void;
}
