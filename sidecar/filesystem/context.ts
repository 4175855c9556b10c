// What the groups of operations share: handed to each of them once, when the filesystem is assembled.

import type { Availability } from "../bucket/availability.ts";
import type { Bucket } from "../bucket/bucket.ts";
import type { OwedWork } from "../copies/owed-work.ts";
import type { CopyStore } from "../copies/store.ts";
import type { Background } from "../lib/background.ts";
import type { Log } from "../telemetry/log.ts";
import type { Caller, Kernel } from "./filesystem.ts";
import type { NodeJournal } from "./handover/node-record.ts";
import { isDevice, type OwnerAndMode, type StoredAttributes } from "./metadata.ts";
import type { Node } from "./nodes.ts";
import type { Owing } from "./owing.ts";
import type { Witness } from "./serve/witness.ts";
import type { Tree } from "./tree.ts";
import type { TrustRule } from "./trust.ts";

/** What a mounted filesystem is made of. */
export interface FileSystemOptions {
  readonly bucket: Bucket;
  /** Given where what is known may be used while the bucket does not answer (`--offline-reads`). */
  readonly availability?: Availability | undefined;
  readonly store: CopyStore;
  readonly owed: OwedWork;
  readonly background: Background;
  readonly log: Log;
  readonly prefix: string;
  /** Whether the bucket has folders of its own (RULES 34). */
  readonly hierarchical: boolean;
  readonly trust: TrustRule;
  readonly fileDefaults: OwnerAndMode;
  readonly directoryDefaults: OwnerAndMode;
  readonly readOnly: boolean;
  readonly lockNames: readonly RegExp[];
  /** Whether programs can read and set `user.*`. Then the kernel asks for an attribute before each write. */
  readonly extendedAttributes: boolean;
  /** What closed files is told before the bucket has it; undefined: nothing is. */
  readonly writeBack?: { readonly limitBytes: number; readonly deadlineMs: number } | undefined;
  readonly hostName: string;
  /** Unique among all mounts there ever were, the same for all workers of one: the first half of operation ids. */
  readonly mountId: string;
  /** What a successor of this worker must know. */
  readonly journal: NodeJournal;
  readonly monotonicMs: () => number;
  readonly wallNs: () => bigint;
}

/** What every group of operations is handed. */
export interface Context extends Omit<FileSystemOptions, "prefix"> {
  readonly tree: Tree;
  /** A new id for one write of ours, never used before by any mount (RULES 4). */
  readonly nextOperationId: () => string;
  /** The id for the one write that a request is about: the same when it is run again by a later worker (RULES 18). */
  readonly operationIdOf: (caller: Caller) => string;
  /** The channel; nothing of it may be awaited while an operation holds what the kernel waits for. */
  readonly kernel: () => Kernel;
  /** Who else looks on: the serve mount, if there is one. */
  readonly witness: () => Witness;
  /** What comes of acknowledging before the bucket has it; undefined where nothing is (no --write-back). */
  readonly owing: () => Owing | undefined;
  /** Set once the mount is told to stop: no new writable opens (RULES 31). */
  readonly stopping: () => boolean;
}

/** Attributes of a node as far as they are stored with an object. */
export function storedAttributes(node: Node): StoredAttributes {
  const { kind, uid, gid, mode, modifyTimeNs, extended } = node;
  return {
    kind,
    uid,
    gid,
    mode,
    modifyTimeNs,
    linkTarget: "linkTarget" in node ? node.linkTarget : undefined,
    extended,
    deviceNumber: "deviceNumber" in node && isDevice(kind) ? node.deviceNumber : undefined,
  };
}
