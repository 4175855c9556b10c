// The tree as the serve mount shows it: for readers only, as object versions that never change (DESIGN.md §2).
//
// Its kernel sends neither OPEN nor FLUSH, keeps what it has read, and asks again only for names: when their trust
// ends, or when it was told that they changed. It shows what the bucket holds; a file that was never uploaded is not
// there.

import { DIRECTORY_ATTRIBUTES_MS, STATISTICS, attributesOf } from "../attributes-of.ts";
import { isStale, type Contested } from "../contested.ts";
import type { Context } from "../context.ts";
import { OpenDirectories } from "../directories.ts";
import { FileSystemError } from "../errors.ts";
import type {
  AttributesReply,
  Caller,
  DirectoryEntry,
  Entry,
  FileSystem,
  FileSystemStatistics,
  HandleId,
  InodeId,
  Kernel,
  OpenedFile,
} from "../filesystem.ts";
import type { Lookup } from "../lookup.ts";
import {
  isDirectory,
  isFile,
  type DirectoryNode,
  type FileNode,
  type Node,
  type ObjectNode,
} from "../nodes.ts";
import { FETCH_IN_OPEN_BYTES } from "../open-files.ts";
import { remainingTrustMs } from "../trust.ts";
import type { RecentlyReplaced } from "./recently-replaced.ts";
import { RefusingChanges } from "./refusing-changes.ts";
import type { ServedDirectory, ServedNode, ServedNodes } from "./served-nodes.ts";
import { versionAttributes } from "./version-attributes.ts";
import type { VersionBytes } from "./version-bytes.ts";

/** Where the kernel cannot be told of names while a look-up in their folder waits, none may wait longer (RULES 27). */
const LOOKUP_PATIENCE_MS = 2000;
/** A name that changes faster than its bytes can be put aside is given out all the same after this time. */
const LOOK_MS = 3000;
/** Changed within the last ten seconds (a tenth of its age is its trust): likely to change again. */
const YOUNG_TRUST_MS = 1000;
/** A number for entries of listings that nobody has looked up: what libfuse says when it does not know either. */
const UNKNOWN_INODE = 0xffff_ffff as InodeId;

export interface ServedFileSystemParts {
  readonly lookup: Lookup;
  readonly contested: Contested;
  readonly nodes: ServedNodes;
  readonly bytes: VersionBytes;
  readonly replaced: RecentlyReplaced;
}

export class ServedFileSystem extends RefusingChanges implements FileSystem {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #contested: Contested;
  readonly #nodes: ServedNodes;
  readonly #bytes: VersionBytes;
  readonly #replaced: RecentlyReplaced;
  readonly #directories: OpenDirectories;

  constructor(context: Context, { lookup, contested, nodes, bytes, replaced }: ServedFileSystemParts) {
    super();
    this.#context = context;
    this.#lookup = lookup;
    this.#contested = contested;
    this.#nodes = nodes;
    this.#bytes = bytes;
    this.#replaced = replaced;
    this.#directories = new OpenDirectories(context, lookup, {
      shows: (node) => isDirectory(node) || shownBy(node) !== undefined,
      inode: (node) => nodes.known(node)?.id ?? UNKNOWN_INODE,
    });
  }

  attach(kernel: Kernel): void {
    this.#nodes.attach(kernel);
  }

  async lookup(caller: Caller, parent: InodeId, name: string): Promise<Entry> {
    const directory = this.#nodes.directory(parent);
    const late = this.#nodes.kernel.canExpireNamesAtOnce()
      ? undefined
      : AbortSignal.timeout(LOOKUP_PATIENCE_MS);
    const signals = [caller.interrupted, late].filter((signal) => signal !== undefined);
    try {
      return await this.#find(directory, name, AbortSignal.any(signals));
    } catch (error) {
      if (late?.aborted === true)
        throw new FileSystemError("EIO", `${name} took too long to be found`, error);
      throw error;
    }
  }

  /** What the name stands for in the bucket, with its bytes in safety. */
  async #find(parent: ServedDirectory, name: string, signal: AbortSignal): Promise<Entry> {
    const { tree, monotonicMs } = this.#context;
    const { directory } = parent;
    for (const endMs = monotonicMs() + LOOK_MS; ;) {
      if (!tree.isAttached(directory)) throw new FileSystemError("ENOENT", "the folder was removed");
      const found = await this.#lookup.require(directory, name, signal);
      const shown = isDirectory(found) ? found : shownBy(found);
      if (shown === undefined) throw new FileSystemError("ENOENT", `${name} is not in the bucket yet`);
      if (!isFile(shown) || monotonicMs() > endMs) return this.#giveOut(parent, name, shown);
      try {
        const changing = shown !== found || shown.local;
        const ready = changing
          ? await this.#bytes.isReadable(shown)
          : await this.#isSettled(directory, shown);
        if (ready) return this.#giveOut(parent, name, shown);
      } catch (error) {
        if (!isStale(error)) throw error;
        const foreign = await this.#foreign(parent, name, shown, signal);
        if (foreign !== undefined) return foreign;
      }
    }
  }

  #giveOut(parent: ServedDirectory, name: string, node: Node): Entry {
    const served = this.#nodes.giveOut(parent, name, node);
    // What is being changed here is never news of others; its own changes are told.
    const entryValidMs = remainingTrustMs(node.confirmed, this.#context.monotonicMs());
    return { ...this.#attributes(served), entryValidMs };
  }

  /**
   * Somebody here is writing a file while somebody elsewhere has replaced it: which of them wins is settled when it is
   * closed. Until then the bucket holds the other one's, which no node of the tree stands for.
   */
  async #foreign(
    parent: ServedDirectory,
    name: string,
    shown: FileNode,
    signal: AbortSignal,
  ): Promise<Entry | undefined> {
    const { tree, bucket } = this.#context;
    const { value: live } = await bucket.stat(tree.objectName(parent.directory) + name, signal);
    if (live === undefined) throw new FileSystemError("ENOENT", `${name} was removed elsewhere`);
    if (live.generation === shown.version?.generation) return undefined;
    const sealed = this.#bytes.fromBucket(live);
    try {
      await this.#bytes.beginFetch(sealed);
    } catch (error) {
      if (!isStale(error)) throw error;
      return undefined;
    }
    const version = this.#nodes.giveOutVersion(parent, name, live);
    this.#bytes.keep(version, sealed);
    return { ...this.#attributes(version), entryValidMs: 0 };
  }

  /**
   * Whether a file nobody here writes to can be given out. There is no open at which a replaced version could be told,
   * so what changed just now is fetched before.
   */
  async #isSettled(parent: DirectoryNode, node: FileNode): Promise<boolean> {
    if (node.copy?.whole === true && !node.copy.retired) return true;
    const young = (node.confirmed?.trustMs ?? 0) < YOUNG_TRUST_MS;
    const small = (node.version?.size ?? 0) <= FETCH_IN_OPEN_BYTES;
    if (!(young && small) && !this.#replaced.has(parent, node.name)) return true;
    const settled = await this.#contested.bringBytes(parent, node, (each) => this.#bytes.begin(each));
    return settled === node && parent.children.get(node.name) === node && !node.local;
  }

  forget(inode: InodeId, count: number): void {
    this.#nodes.forget(inode, count);
  }

  async getAttributes(_caller: Caller, inode: InodeId): Promise<AttributesReply> {
    return this.#attributes(this.#nodes.get(inode));
  }

  #attributes(served: ServedNode): AttributesReply {
    if (served.kind === "directory") {
      const attributes = { ...attributesOf(served.directory), inode: served.id };
      return { attributes, attributesValidMs: DIRECTORY_ATTRIBUTES_MS };
    }
    const attributes = versionAttributes(served, this.#context.fileDefaults);
    return { attributes, attributesValidMs: Number.POSITIVE_INFINITY }; // until the kernel is told otherwise
  }

  async readLink(_caller: Caller, inode: InodeId): Promise<string> {
    const { node } = this.#nodes.version(inode);
    const target = node !== undefined && "linkTarget" in node ? node.linkTarget : undefined;
    if (target === undefined) throw new FileSystemError("EINVAL", "not a symbolic link");
    return target;
  }

  async read(
    _caller: Caller,
    inode: InodeId,
    _handle: HandleId,
    offset: number,
    length: number,
  ): Promise<Buffer> {
    return this.#bytes.read(this.#nodes.version(inode), offset, length);
  }

  async openDirectory(_caller: Caller, inode: InodeId): Promise<HandleId> {
    return this.#directories.open(this.#nodes.directory(inode).directory);
  }

  async readDirectory(
    caller: Caller,
    _inode: InodeId,
    handle: HandleId,
    offset: number,
    _withAttributes: boolean,
    accept: (entry: DirectoryEntry) => boolean,
  ): Promise<void> {
    await this.#directories.read(handle, offset, false, accept, caller.interrupted);
  }

  async fsyncDirectory(): Promise<void> {}

  async releaseDirectory(_inode: InodeId, handle: HandleId): Promise<void> {
    this.#directories.release(handle);
  }

  async statistics(): Promise<FileSystemStatistics> {
    return STATISTICS;
  }

  /** Never asked: the kernel was told once that it may open files by itself. */
  open(): Promise<OpenedFile> {
    return Promise.reject(new FileSystemError("ENOSYS", "files are opened without asking"));
  }

  async flush(): Promise<void> {}

  async fsync(): Promise<void> {}

  async release(): Promise<void> {}

  refuseWrites(): void {}

  async shutdown(): Promise<void> {}
}

/** The node whose version the bucket has under this node's name; undefined if it has none. */
function shownBy(node: ObjectNode): ObjectNode | undefined {
  if (node.version !== undefined || !isFile(node)) return node;
  return node.replacing?.version === undefined ? undefined : node.replacing;
}
