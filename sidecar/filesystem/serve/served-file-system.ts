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
import { RefusingChanges } from "./refusing-changes.ts";
import type { ServedNode, ServedNodes } from "./served-nodes.ts";
import { versionAttributes } from "./version-attributes.ts";
import type { VersionBytes } from "./version-bytes.ts";

/** Where the kernel cannot be told of names while a look-up in their folder waits, none may wait longer (RULES 27). */
const LOOKUP_PATIENCE_MS = 2000;
/** Another look is needed only if the file was replaced, or opened for writing, while its version was put aside. */
const LOOK_ATTEMPTS = 5;
/** Changed within the last ten seconds (a tenth of its age is its trust): likely to change again. */
const YOUNG_TRUST_MS = 1000;
/** A number for entries of listings that nobody has looked up: what libfuse says when it does not know either. */
const UNKNOWN_INODE = 0xffff_ffff as InodeId;

export interface ServedFileSystemParts {
  readonly lookup: Lookup;
  readonly contested: Contested;
  readonly nodes: ServedNodes;
  readonly bytes: VersionBytes;
}

export class ServedFileSystem extends RefusingChanges implements FileSystem {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #contested: Contested;
  readonly #nodes: ServedNodes;
  readonly #bytes: VersionBytes;
  readonly #directories: OpenDirectories;

  constructor(context: Context, { lookup, contested, nodes, bytes }: ServedFileSystemParts) {
    super();
    this.#context = context;
    this.#lookup = lookup;
    this.#contested = contested;
    this.#nodes = nodes;
    this.#bytes = bytes;
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
      const node = await this.#find(directory.directory, name, AbortSignal.any(signals));
      return this.#entry(this.#nodes.giveOut(directory, name, node), node);
    } catch (error) {
      if (late?.aborted === true)
        throw new FileSystemError("EIO", `${name} took too long to be found`, error);
      throw error;
    }
  }

  /** What the name stands for in the bucket, with its bytes in safety. */
  async #find(parent: DirectoryNode, name: string, signal: AbortSignal): Promise<Node> {
    const { tree } = this.#context;
    for (let attempt = 1; ; attempt += 1) {
      if (!tree.isAttached(parent)) throw new FileSystemError("ENOENT", "the folder was removed");
      const found = await this.#lookup.require(parent, name, signal);
      const shown = isDirectory(found) ? found : shownBy(found);
      if (shown === undefined) throw new FileSystemError("ENOENT", `${name} is not in the bucket yet`);
      if (!isFile(shown)) return shown;
      if (shown === found && !shown.local) return this.#settle(parent, shown);
      const waited = attempt < LOOK_ATTEMPTS && (await this.#bytes.makeReadable(shown));
      if (!waited) return shown;
    }
  }

  /** There is no open at which a replaced version could be told: what changed just now is fetched before it is shown. */
  async #settle(parent: DirectoryNode, node: FileNode): Promise<Node> {
    if (node.copy?.whole === true && !node.copy.retired) return node;
    const young = (node.confirmed?.trustMs ?? 0) < YOUNG_TRUST_MS;
    const small = (node.version?.size ?? 0) <= FETCH_IN_OPEN_BYTES;
    if (!(young && small) && !this.#contested.take(parent, node.name)) return node;
    return this.#contested.bringBytes(parent, node, (each) => this.#bytes.begin(each));
  }

  #entry(served: ServedNode, node: Node): Entry {
    // What is being changed here is never news of others; its own changes are told.
    const entryValidMs = remainingTrustMs(node.confirmed, this.#context.monotonicMs());
    return { ...this.#attributes(served), entryValidMs };
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
    const version = this.#nodes.version(inode);
    try {
      return await this.#bytes.read(version, offset, length);
    } catch (error) {
      if (isStale(error) && version.place !== undefined)
        this.#contested.remember(version.place.parent.directory, version.place.name);
      throw error;
    }
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
