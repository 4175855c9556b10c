// What the kernel knows by number: files, folders, and the other kinds.
//
// A node's place is its parent and name; its path is found by walking up, so renaming a folder changes one
// node. A node without a parent has lost its name (unlinked, or replaced in the bucket by a newer version)
// and lives on for those who have it open.

import { setTimeout as delay } from "node:timers/promises";
import type { Generation, ObjectInfo } from "../bucket/bucket.ts";
import type { Copy } from "../copies/copy.ts";
import type { Fetcher, ReaderPosition } from "../copies/fetch.ts";
import type { Summed } from "../copies/snapshot.ts";
import type { SharedRun } from "../lib/shared-run.ts";
import { Turn } from "../lib/turn.ts";
import { Children } from "./children.ts";
import type { Departure } from "./departure.ts";
import { FileSystemError } from "./errors.ts";
import type { StoredAttributes } from "./metadata.ts";
import type { OwedState } from "./owing.ts";
import type { BackingId, FileKind, HandleId, InodeId } from "./filesystem.ts";
import type { Confirmation } from "./trust.ts";

/** What every kind of node has. */
abstract class NodeBase {
  readonly id: InodeId;
  parent: DirectoryNode | undefined;
  name: string;
  /** References the kernel holds; given back by forget. */
  lookupCount = 0;
  mode = 0;
  uid = 0;
  gid = 0;
  modifyTimeNs = 0n;
  accessTimeNs = 0n;
  changeTimeNs = 0n;
  /** Extended attributes set or removed (null) here since the object was read, by metadata key. */
  extended: Readonly<Record<string, string | null>> | undefined;
  /** When the bucket last said that this name stands for this node. */
  confirmed: Confirmation | undefined;
  /** Questions asked after this one are later than the version that is known. */
  seenSerial = 0;
  /** Attribute changes acknowledged but not yet patched into the bucket (RULES 14). */
  patchOwed = false;

  constructor(id: InodeId, parent: DirectoryNode | undefined, name: string) {
    this.id = id;
    this.parent = parent;
    this.name = name;
  }
}

/** An open file. */
export interface OpenFile {
  readonly id: HandleId;
  readonly node: FileNode;
  readonly writable: boolean;
  readonly append: boolean;
  /** Opened by exec, to run it. */
  readonly running: boolean;
  /** Thread that opened it; 0 where that is not known. */
  opener: number;
  readonly position: ReaderPosition;
}

/** An append of which nobody knows whether it reached the bucket. */
export interface UnsureAppend {
  readonly id: string;
  readonly object: string;
  /** What is to be put behind: without it the append cannot arrive any more. */
  readonly tail: { readonly name: string; readonly generation: Generation };
  readonly copy: Copy;
  readonly snapshot: Summed;
  readonly attributes: StoredAttributes;
}

const NOT_OPEN: ReadonlySet<OpenFile> = new Set();
const SURE: ReadonlySet<string> = new Set();

export class FileNode extends NodeBase {
  readonly kind = "file";
  /** The object version this file is, or replaces; undefined while it was never in the bucket. */
  version: ObjectInfo | undefined;
  /** For a file not yet in the bucket: the version under its name that its first upload replaces. */
  replaces: Generation | undefined;
  copy: Copy | undefined;
  fetcher: Fetcher | undefined;
  // Most files are closed, and there may be very many of them: what only open ones need is made when it is needed.
  #opened: Set<OpenFile> | undefined;
  #closed: PromiseWithResolvers<void> | undefined;
  #unsure: Set<string> | undefined;
  #acknowledging: Turn | undefined;
  /** How the kernel gets at the bytes while the file is open; undefined while it is closed. */
  access: "kernel" | "daemon" | undefined;
  backing: BackingId | undefined;
  /** Written from nothing (created, or truncated to nothing) since it was last closed: may supersede others. */
  writtenWhole = false;
  /** Created with O_EXCL and not yet in the bucket: somebody else's object of that name must not be replaced. */
  exclusive = false;
  /** A program set the modification time since the last write (RULES 15). */
  timeGiven = false;
  /** The copy's own mtime when last looked at: another one means the kernel wrote. */
  seenModifiedNs = 0n;
  /** The kernel wrote by itself while it was last open, and may write still: through a mapping. */
  mayBeStoredTo = false;
  /** Moves whenever the bytes may have changed; pages the kernel cached under an older number are stale. */
  contentSerial = 0;
  pagesSerial = -1;
  /** The kernel has asked us for bytes, and may have kept pages of them. */
  pagesGiven = false;
  /** The last upload's failure, until one succeeds. */
  saveError: unknown;
  /** The name went to a newer version, or was removed, elsewhere: no new writer may come. */
  supplanted = false;
  /** A look-up fetched this version for the open that follows: until then it is opened without asking. */
  heldUntilMs = 0;
  /** What its tails are put behind since another writer's version has the name, and how much of it has been. */
  following: { object: ObjectInfo; sentBytes: number } | undefined;
  unsureAppend: UnsureAppend | undefined;
  /** What of a file that is being written has no room here, as an object that nobody sees (RULES 12). */
  spilled: ObjectInfo | undefined;
  /** Where its bytes go since somebody else's version has the name (RULES 9). */
  conflict: ObjectInfo | undefined;
  /** Where it was before it was unlinked, for as long as its object is not deleted because readers need it (RULES 28). */
  postponed: { readonly parent: InodeId; readonly name: string } | undefined;
  /** Readers of the serve mount who are using the copy just now: it is not put to rest meanwhile. */
  borrowers = 0;
  /** Its bytes are being fetched since then because its name was looked up; nobody has asked for any yet. */
  unreadSinceMs: number | undefined;
  /** What was last uploaded, until the copy is known to have come to rest. */
  lastSummed: Summed | undefined;
  save: SharedRun<void> | undefined;
  /** What of it was acknowledged and is not in the bucket yet (--write-back). */
  owed: OwedState | undefined;
  /** Uploads, renames, unlinks and attribute changes of one file go one after another (RULES 6). */
  readonly changes = new Turn();
  /** Opening and coming to rest go one after another; never held while uploading. */
  readonly openings = new Turn();

  /** Acknowledging goes one after another, and never while the file gets or loses its name. */
  get acknowledging(): Turn {
    return (this.#acknowledging ??= new Turn());
  }

  /** Handles of it. */
  get opened(): ReadonlySet<OpenFile> {
    return this.#opened ?? NOT_OPEN;
  }

  addHandle(handle: OpenFile): void {
    (this.#opened ??= new Set()).add(handle);
  }

  removeHandle(handle: OpenFile): void {
    this.#opened?.delete(handle);
    if (this.opened.size > 0) return;
    this.#opened = undefined;
    this.#closed?.resolve();
    this.#closed = undefined;
  }

  /** Resolves when the last handle has gone. */
  closed(): Promise<void> {
    if (this.opened.size === 0) return Promise.resolve();
    this.#closed ??= Promise.withResolvers();
    return this.#closed.promise;
  }

  /** Operation ids of uploads whose outcome is not known: such an object is ours (RULES 4, 6). */
  get unsure(): ReadonlySet<string> {
    return this.#unsure ?? SURE;
  }

  becomeUnsure(operationId: string): void {
    (this.#unsure ??= new Set()).add(operationId);
  }

  /** The outcome of this one is known. */
  becomeSureOf(operationId: string): void {
    this.#unsure?.delete(operationId);
  }

  get writers(): number {
    let count = 0;
    for (const { writable } of this.opened) if (writable) count += 1;
    return count;
  }

  /** What this machine knows is newer than what the bucket holds. */
  get local(): boolean {
    return (
      this.version === undefined ||
      this.copy?.dirty === true ||
      this.owed !== undefined ||
      this.writers > 0 ||
      this.save?.running === true
    );
  }

  /** Length as programs see it. */
  get size(): number {
    if (this.copy !== undefined && (this.opened.size > 0 || this.copy.isOpen))
      return this.copy.observe().size;
    return this.version?.size ?? 0;
  }
}

/** Symbolic links, FIFOs, sockets, device nodes: everything is in the metadata. */
export class SpecialNode extends NodeBase {
  readonly kind: Exclude<FileKind, "file" | "directory">;
  version: ObjectInfo;
  linkTarget: string | undefined;
  deviceNumber = 0;
  readonly changes = new Turn();

  constructor(
    id: InodeId,
    parent: DirectoryNode | undefined,
    name: string,
    kind: SpecialNode["kind"],
    version: ObjectInfo,
  ) {
    super(id, parent, name);
    this.kind = kind;
    this.version = version;
  }
}

/** Local changes of one name: answers of the bucket that began before are not news (RULES 7). */
interface NameChange {
  serial: number;
  underWay: number;
  /** For those who wait until none is under way. */
  settled: PromiseWithResolvers<void> | undefined;
}

export class DirectoryNode extends NodeBase {
  readonly kind = "directory";
  /** Names known to exist. All of them only while `listed` is trusted. */
  readonly children = new Children<Node>();
  /** When the bucket last listed this folder completely. */
  listed: Confirmation | undefined;
  /** Questions about what is in the folder whose answers are being taken in, or looked at: no name is forgotten meanwhile. */
  listings = 0;
  /** The object `name/`: known, known to be absent, or unknown. */
  placeholder: ObjectInfo | "absent" | undefined;
  /** When a hierarchical bucket's folder was made, or since when at least it is there, as far as known; by its clock. */
  createdMs: number | undefined;
  readonly nameChanges = new Map<string, NameChange>();
  /** Names unlinked here whose object is deleted once open readers have what they need (RULES 28). */
  readonly postponed = new Map<string, FileNode>();
  /** A rename of this folder is under way: changes below it wait, and so do renames above it. */
  moving: Promise<void> | undefined;
  /** Renames that bring a folder here. */
  readonly arriving = new Set<Promise<void>>();
  /** Its objects are being moved: until all are, the tree is the truth, not the bucket (RULES 28). */
  overlaid = false;
  /** Answers to questions that are older say nothing of what is below: it had another name then. */
  movedSerial = 0;
  /** Set when somebody else has taken the folder away. */
  departure: Departure | undefined;
  readonly changes = new Turn();

  /** True where a rename under way makes the tree the only truth. */
  get authoritative(): boolean {
    return this.overlaid || (this.parent?.authoritative ?? false);
  }
}

/** Runs `work` while nothing that is in the folder is forgotten. */
export async function holdingNames<T>(directory: DirectoryNode, work: () => Promise<T>): Promise<T> {
  directory.listings += 1;
  try {
    return await work();
  } finally {
    directory.listings -= 1;
  }
}

export type Node = FileNode | SpecialNode | DirectoryNode;
/** Nodes that are one object each. */
export type ObjectNode = FileNode | SpecialNode;

export function isDirectory(node: Node | undefined): node is DirectoryNode {
  return node?.kind === "directory";
}
export function isFile(node: Node | undefined): node is FileNode {
  return node?.kind === "file";
}
/** Made here, not in the bucket, and nobody is writing: no other close will bring it there (RULES 10: nor after a failure). */
export function isYetToBeMade(node: FileNode): boolean {
  return node.version === undefined && node.writers === 0 && node.saveError === undefined;
}
/** The object a node is, or has its attributes from. */
export function versionOf(node: Node): ObjectInfo | undefined {
  if (!isDirectory(node)) return node.version;
  return node.placeholder === "absent" ? undefined : node.placeholder;
}

/** Whether what this machine has of the node must not give way to what the bucket says. */
export function isLocal(node: Node): boolean {
  if (isFile(node)) return node.local || node.patchOwed;
  if (!isDirectory(node)) return node.patchOwed;
  for (const child of node.children.values()) if (isLocal(child)) return true;
  return node.moving !== undefined;
}
/** How long a change waits for the rename of a folder above it before it is trouble: nothing hangs. */
const MOVE_PATIENCE_MS = 60_000;

/**
 * Resolves when no folder rename above the node is under way: its object is where its path says. Never to be
 * awaited while holding a turn, which such a rename may wait for.
 */
export async function movesEnded(node: Node): Promise<void> {
  for (let moving = movingAbove(node); moving !== undefined; moving = movingAbove(node)) await inTime(moving);
}

/** As `movesEnded`, for a folder that is to be moved: no rename above or below it, nor above where it goes. */
export async function movesAroundEnded(directory: DirectoryNode, to: DirectoryNode): Promise<void> {
  const next = (): Promise<void> | undefined =>
    movingAbove(directory) ?? movingBelow(directory) ?? movingAbove(to);
  for (let moving = next(); moving !== undefined; moving = next()) await inTime(moving);
}

function movingAbove(node: Node): Promise<void> | undefined {
  for (let above: Node | undefined = node; above !== undefined; above = above.parent) {
    if (isDirectory(above) && above.moving !== undefined) return above.moving;
  }
  return undefined;
}

function movingBelow(directory: DirectoryNode): Promise<void> | undefined {
  const [arriving] = directory.arriving;
  if (directory.moving !== undefined || arriving !== undefined) return directory.moving ?? arriving;
  for (const child of directory.children.values()) {
    const moving = isDirectory(child) ? movingBelow(child) : undefined;
    if (moving !== undefined) return moving;
  }
  return undefined;
}

async function inTime(moving: Promise<void>): Promise<void> {
  const stop = new AbortController();
  const late = delay(MOVE_PATIENCE_MS, true, { ref: false, signal: stop.signal }).catch(() => true);
  const ended = moving.then(() => false);
  if (await Promise.race([ended, late])) {
    throw new FileSystemError("EIO", "the rename of a folder above takes too long");
  }
  stop.abort();
}
