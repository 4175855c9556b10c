// The tree as the serve mount shows it: for readers only, as object versions that never change (DESIGN.md §2).
//
// Its kernel sends neither OPEN nor FLUSH, keeps what it has read, and asks again only for names: when their trust
// ends, or when it was told that they changed. It shows what the bucket holds; a file that was never uploaded is not
// there.

import { setTimeout as delay } from "node:timers/promises";
import { isBucketError } from "../../bucket/errors.ts";
import { DIRECTORY_ATTRIBUTES_MS, STATISTICS, attributesOf } from "../attributes-of.ts";
import { isStale, type Contested } from "../contested.ts";
import type { Context } from "../context.ts";
import type { OpenDirectories } from "../directories.ts";
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
import { LastAnswers } from "../last-answers.ts";
import type { Lookup } from "../lookup.ts";
import { decodeAttributes } from "../metadata.ts";
import { isFile, movesEnded, type DirectoryNode, type FileNode, type Node } from "../nodes.ts";
import { FETCH_WHOLE_BYTES } from "../sizes.ts";
import { isTrusted, remainingTrustMs } from "../trust.ts";
import type { RecentlyReplaced } from "./recently-replaced.ts";
import { RefusingChanges } from "./refusing-changes.ts";
import type { ServedDirectory, ServedNode, ServedNodes, ServedVersion } from "./served-nodes.ts";
import type { SetAside } from "./set-aside.ts";
import { versionAttributes } from "./version-attributes.ts";
import type { VersionBytes } from "./version-bytes.ts";

/** Where the kernel cannot be told of names while a look-up in their folder waits, none may wait longer (RULES 27). */
const LOOKUP_PATIENCE_MS = 2000;
/** A name that changes faster than its bytes can be put aside is given out all the same after this time. */
const LOOK_MS = 3000;
/** What changed within the last ten seconds is likely to change again. */
const YOUNG_MS = 10_000;

export interface ServedFileSystemParts {
  readonly lookup: Lookup;
  readonly contested: Contested;
  readonly nodes: ServedNodes;
  readonly bytes: VersionBytes;
  readonly setAside: SetAside;
  readonly replaced: RecentlyReplaced;
  readonly directories: OpenDirectories;
}

export class ServedFileSystem extends RefusingChanges implements FileSystem {
  readonly #context: Context;
  readonly #lookup: Lookup;
  readonly #last: LastAnswers;
  readonly #contested: Contested;
  readonly #nodes: ServedNodes;
  readonly #bytes: VersionBytes;
  readonly #setAside: SetAside;
  readonly #replaced: RecentlyReplaced;
  readonly #directories: OpenDirectories;

  constructor(
    context: Context,
    { lookup, contested, nodes, bytes, setAside, replaced, directories }: ServedFileSystemParts,
  ) {
    super();
    this.#context = context;
    this.#last = new LastAnswers(context.availability);
    this.#lookup = lookup;
    this.#contested = contested;
    this.#nodes = nodes;
    this.#bytes = bytes;
    this.#setAside = setAside;
    this.#replaced = replaced;
    this.#directories = directories;
  }

  attach(kernel: Kernel): void {
    this.#nodes.attach(kernel);
  }

  async lookup(caller: Caller, parent: InodeId, name: string): Promise<Entry> {
    const directory = this.#nodes.directory(parent);
    const finding = this.#find(directory, name, caller.interrupted);
    return this.#nodes.kernel.canExpireNamesAtOnce() ? finding : this.#inTime(finding, name);
  }

  /** The work goes on, for the next one who asks. */
  async #inTime(finding: Promise<Entry>, name: string): Promise<Entry> {
    const stop = new AbortController();
    const late = delay(LOOKUP_PATIENCE_MS, undefined, { ref: false, signal: stop.signal }).catch(
      () => undefined,
    );
    try {
      const entry = await Promise.race([finding, late]);
      if (entry !== undefined) return entry;
    } finally {
      stop.abort();
    }
    finding.then(
      ({ attributes }) => this.#nodes.forget(attributes.inode, 1), // the kernel was not told of it
      () => undefined,
    );
    throw new FileSystemError("EIO", `${name} took too long to be found`);
  }

  /** What the name stands for in the bucket, with its bytes in safety. */
  async #find(parent: ServedDirectory, name: string, signal: AbortSignal | undefined): Promise<Entry> {
    const { tree, monotonicMs } = this.#context;
    const { directory } = parent;
    for (const endMs = monotonicMs() + LOOK_MS; ;) {
      if (!tree.isAttached(directory)) throw new FileSystemError("ENOENT", "the folder was removed");
      const found = await this.#lookup.require(directory, name, signal);
      if (!isFile(found)) return this.#giveOut(parent, name, found);
      try {
        const entry = found.local
          ? await this.#findChanging(parent, found, monotonicMs() > endMs, signal)
          : await this.#findSettled(parent, found, monotonicMs() > endMs);
        if (entry !== undefined) return entry;
      } catch (error) {
        if (!isStale(error) || monotonicMs() > endMs + LOOK_MS) throw error;
        found.confirmed = undefined; // the bucket has another version, or none
      }
    }
  }

  /** A file nobody here writes to. Undefined: it was replaced meanwhile. */
  async #findSettled(parent: ServedDirectory, node: FileNode, late: boolean): Promise<Entry | undefined> {
    const { name } = node;
    if (!late && this.#mayBeReplacedSoon(parent.directory, node)) {
      // There is no open at which a replaced version could be told, so it is fetched before it is shown.
      const settled = await this.#contested.bringBytes(parent.directory, node, (each) => this.#begin(each));
      if (settled !== node || parent.directory.children.get(name) !== node || node.local) return undefined;
    }
    return this.#giveOut(parent, name, node);
  }

  #mayBeReplacedSoon(parent: DirectoryNode, node: FileNode): boolean {
    if (node.copy?.whole === true && !node.copy.retired) return false;
    if ((node.version?.size ?? 0) > FETCH_WHOLE_BYTES) return false; // never fetched whole
    return (node.confirmed?.ageMs ?? 0) < YOUNG_MS || this.#replaced.has(parent, node.name);
  }

  /** Trouble with the bytes is told to who reads them, not to who only asks for the name. */
  async #begin(node: FileNode): Promise<void> {
    try {
      await this.#bytes.begin(node);
    } catch (error) {
      if (isStale(error) || isBucketError(error, "aborted")) throw error;
    }
  }

  /** A file that is being written, or was never uploaded: the bucket has its version, another one, or none. */
  async #findChanging(
    parent: ServedDirectory,
    node: FileNode,
    late: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Entry | undefined> {
    const trusted = node.version !== undefined && isTrusted(node.confirmed, this.#context.monotonicMs());
    if (!trusted) {
      let foreign: Entry | undefined;
      let waiting = true;
      const silence = await this.#last.ask(async () => {
        const entry = await this.#foreign(parent, node, signal);
        if (waiting) foreign = entry;
        else if (entry !== undefined) this.#nodes.forget(entry.attributes.inode, 1); // nobody was told of it
      });
      waiting = false;
      if (silence !== undefined && node.version === undefined) throw silence;
      if (foreign !== undefined) return foreign;
    }
    const ready = late || (await this.#bytes.isReadable(node));
    return ready ? this.#giveOut(parent, node.name, node) : undefined;
  }

  /**
   * What the bucket has under the name if it is not this file's version: of whom that is, and who wins, is settled when
   * the file is closed. ENOENT if it has nothing.
   */
  async #foreign(
    parent: ServedDirectory,
    node: FileNode,
    signal: AbortSignal | undefined,
  ): Promise<Entry | undefined> {
    const { tree, bucket, hierarchical } = this.#context;
    const { name } = node;
    if (hierarchical) await movesEnded(parent.directory); // which of its names it has is not known before
    const object = tree.objectName(parent.directory) + name;
    const { value: live } = await tree.observe(
      () => bucket.stat(object, signal),
      ({ value, dateMs }, observation) => {
        if (value !== undefined) tree.observeUnchanged(node, value, dateMs, observation);
      },
    );
    if (live === undefined) throw new FileSystemError("ENOENT", `${name} is not in the bucket`);
    if (live.generation === node.version?.generation) return undefined;
    const sealed = this.#setAside.fromBucket(live);
    try {
      await this.#setAside.beginFetch(sealed);
    } catch (error) {
      this.#setAside.discard(sealed);
      throw error;
    }
    const version = this.#nodes.giveOutVersion(parent, name, live);
    this.#setAside.keep(version, sealed);
    return { ...this.#attributes(version), entryValidMs: 0 };
  }

  #giveOut(parent: ServedDirectory, name: string, node: Node): Entry {
    const served = this.#nodes.giveOut(parent, name, node);
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
    const { version } = this.#nodes.version(inode);
    const target = decodeAttributes(version, this.#context.fileDefaults).linkTarget;
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
      if (isStale(error)) {
        this.#askAgain(version);
        await this.#nodes.told(); // whoever asks again gets what is there now
      }
      throw error;
    }
  }

  /** The bucket does not have it any more: nobody else shall be given it out. */
  #askAgain({ node, place }: ServedVersion): void {
    if (node?.parent !== undefined) {
      node.confirmed = undefined;
      node.parent.listed = undefined;
    }
    if (place !== undefined) this.#nodes.nameChanged(place.parent.directory, place.name);
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

  /** Nor this: the kernel was told that it sees one piece of data. */
  seek(): Promise<number> {
    return Promise.reject(new FileSystemError("ENOSYS", "holes are not shown"));
  }

  getExtendedAttribute(): Promise<never> {
    return Promise.reject(new FileSystemError("ENOSYS", "no attributes are shown here"));
  }

  listExtendedAttributes(): Promise<never> {
    return this.getExtendedAttribute();
  }

  async flush(): Promise<void> {}

  async fsync(): Promise<void> {}

  async release(): Promise<void> {}

  refuseWrites(): void {}

  async shutdown(): Promise<void> {}
}
