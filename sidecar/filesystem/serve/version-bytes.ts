// Where the bytes of a served version come from.
//
// As long as nobody writes, from the file's own copy. It may be written to by the kernel without a word to us, so what
// was read from it counts only if it is unchanged afterwards. Before anyone may write, the version's bytes are put
// aside (`sealed`): by taking over a copy that is about to be replaced as a whole, else by a clone, else, where
// neither is possible, by fetching them again. Once the bucket has a newer version they go on for those who still
// know the old one by number (`kept`), until the kernel forgets it (RULES 30). What cannot be had any more fails; it is
// never mixed with anything else.

import { LRUCache } from "lru-cache";
import type { ObjectInfo } from "../../bucket/bucket.ts";
import { isBucketError } from "../../bucket/errors.ts";
import type { Copy } from "../../copies/copy.ts";
import { Fetcher } from "../../copies/fetch.ts";
import { nobodyCanWrite } from "../../copies/lease.ts";
import type { ByteRange } from "../../lib/extents.ts";
import type { Context } from "../context.ts";
import { FileSystemError } from "../errors.ts";
import type { FileData } from "../file-data.ts";
import { isFile, type FileNode } from "../nodes.ts";
import { FETCH_WHOLE_BYTES, type OpenFiles } from "../open-files.ts";
import { readCopy } from "../read-copy.ts";
import { orStale } from "../stale.ts";
import type { ServedNodes, ServedVersion } from "./served-nodes.ts";
import type { SealedCopy } from "./witness.ts";

/** Disk for replaced versions that the kernel still knows. Beyond it, the oldest are read from the bucket, if at all. */
const KEPT_BYTES_MAX = 1 << 30;
/** Copies put aside whose files stay open between reads. */
const OPEN_MAX = 64;
/** Each round lost means that the file was opened for writing, or replaced, once more meanwhile. */
const READ_ATTEMPTS = 10;
const EMPTY = Buffer.alloc(0);

export interface VersionBytesParts {
  readonly openFiles: OpenFiles;
  readonly data: FileData;
  readonly nodes: ServedNodes;
}

export class VersionBytes {
  readonly #context: Context;
  readonly #parts: VersionBytesParts;
  /** Of files whose own copy is, or may be, something else than the version the bucket has. */
  readonly #sealed = new Map<FileNode, SealedCopy>();
  /** Of which the bucket has begun to send what it sends at once: replaced now, it goes on sending. */
  readonly #begun = new WeakSet<SealedCopy>();
  readonly #kept: LRUCache<ServedVersion, SealedCopy>;
  readonly #open = new LRUCache<Copy, true>({ max: OPEN_MAX, dispose: (_, copy) => copy.close() });

  constructor(context: Context, parts: VersionBytesParts) {
    this.#context = context;
    this.#parts = parts;
    this.#kept = new LRUCache({
      maxSize: KEPT_BYTES_MAX,
      sizeCalculation: ({ copy }) => Math.max(1, copy.version?.size ?? 1),
      dispose: (sealed) => this.#discard(sealed),
    });
  }

  /** Bytes of this version and of no other; short only at its end. */
  async read(version: ServedVersion, offset: number, length: number): Promise<Buffer> {
    const wanted = { start: offset, end: Math.min(offset + length, version.version.size) };
    if (wanted.start >= wanted.end) return EMPTY;
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
      const data = await this.#tryToRead(version, wanted).catch(undefinedIfStopped);
      if (data !== undefined) return data;
    }
    throw new FileSystemError("EIO", "the file is opened for writing again and again");
  }

  /** Undefined: where the bytes were has changed meanwhile. */
  async #tryToRead(version: ServedVersion, wanted: ByteRange): Promise<Buffer | undefined> {
    const own = this.#ownCopy(version);
    if (own !== undefined) return this.#readOwn(version, own, wanted);
    const { node } = version;
    if (!isFile(node)) {
      this.keep(version, this.fromBucket(version.version)); // a bucket that keeps old versions still has it
      return undefined;
    }
    const data = await this.#readBorrowed(version, node, wanted);
    if (data === undefined) await this.#secure(node);
    return data;
  }

  /** Begins to fetch a file nobody writes to: all of a small one, the first of a larger. ESTALE if its version is gone. */
  begin(node: FileNode): Promise<void> {
    return this.#parts.openFiles.borrow(node, () => Promise.resolve());
  }

  /**
   * Before a file is given out whose copy somebody is writing to: its version must stay readable. False if it is
   * not certain yet, so that one has to look again. ESTALE if the bucket does not have it any more.
   */
  async isReadable(node: FileNode): Promise<boolean> {
    const sealed = this.#sealed.get(node);
    if (sealed === undefined) {
      if (!isBeingChanged(node)) return true;
      await this.#secure(node);
      return false;
    }
    if (sealed.copy.whole || this.#begun.has(sealed)) return true;
    try {
      await this.beginFetch(sealed);
      this.#begun.add(sealed);
    } catch (error) {
      undefinedIfStopped(error);
    }
    return false;
  }

  /** Puts the version's bytes aside, or what will bring them. */
  #secure(node: FileNode): Promise<void> {
    return node.openings.run(() => this.secureInTurn(node));
  }

  /** As above, for those who hold the file's `openings` turn. */
  async secureInTurn(node: FileNode): Promise<void> {
    const { version } = node;
    if (version === undefined || this.#sealed.has(node)) return;
    await this.#haveCopy(node);
    const clone = await this.#clone(node, version);
    if (node.version?.generation !== version.generation || this.#sealed.has(node)) {
      if (clone !== undefined) this.#context.store.discard(clone); // replaced, or renamed, meanwhile
      return;
    }
    const sealed = clone === undefined ? this.fromBucket(version) : { copy: clone, fetcher: undefined };
    this.#sealed.set(node, sealed);
    // At once, while the bucket still has it.
    this.#context.background.start("put aside", () => this.beginFetch(sealed).catch(() => undefined)); // readers are told
  }

  /** See Witness. */
  async takeOver(node: FileNode): Promise<boolean> {
    if (node.version === undefined || this.#sealed.has(node)) return false;
    await this.#haveCopy(node);
    const { copy, fetcher, version } = node;
    if (copy === undefined || version === undefined || !this.#context.store.pin(copy)) return false;
    if (copy.changed() || copy.version?.generation !== version.generation) return false;
    if (!copy.whole && copy.present?.total === 0 && fetcher?.busy !== true) return false;
    if (copy.mayBeMapped && !nobodyCanWrite(copy)) return false;
    const sealed = { copy, fetcher };
    if (this.#context.tree.isAttached(node)) this.#sealed.set(node, sealed);
    else {
      const served = this.#parts.nodes.leave(node);
      if (served === undefined) return false;
      this.#kept.set(served, sealed);
    }
    Object.assign(node, { copy: undefined, fetcher: undefined, lastSummed: undefined });
    this.#open.set(copy, true);
    return true;
  }

  /** Of what the kernel may ask for, a copy of an earlier use or run is worth looking for. */
  async #haveCopy(node: FileNode): Promise<void> {
    const gone = node.copy === undefined || node.copy.retired;
    if (gone && this.#parts.nodes.known(node) !== undefined) await this.#parts.openFiles.obtainCopy(node);
  }

  /** A version no file stands for has this copy. */
  keep(version: ServedVersion, sealed: SealedCopy): void {
    this.#kept.set(version, sealed);
  }

  /** See Witness. */
  superseded(node: FileNode): void {
    const served = this.#parts.nodes.leave(node);
    const sealed = this.giveBack(node);
    if (sealed === undefined) return;
    if (served === undefined) this.#discard(sealed);
    else this.#kept.set(served, sealed);
  }

  /** See Witness. */
  atRest(node: FileNode): void {
    const sealed = this.giveBack(node);
    if (sealed !== undefined) this.#discard(sealed);
  }

  /** See Witness. */
  giveBack(node: FileNode): SealedCopy | undefined {
    const sealed = this.#sealed.get(node);
    this.#sealed.delete(node);
    return sealed;
  }

  /** The kernel does not know the version any more. */
  forgotten(version: ServedVersion): void {
    this.#kept.delete(version);
  }

  /** A file has another name: what was put aside of it has, too. */
  renamed(node: FileNode): void {
    const copy = this.#sealed.get(node)?.copy;
    if (copy !== undefined && node.version !== undefined) copy.version = node.version;
  }

  #ownCopy(version: ServedVersion): SealedCopy | undefined {
    return this.#kept.get(version) ?? (isFile(version.node) ? this.#sealed.get(version.node) : undefined);
  }

  async #readOwn(version: ServedVersion, sealed: SealedCopy, wanted: ByteRange): Promise<Buffer> {
    const { copy, fetcher } = sealed;
    await this.beginFetch(sealed);
    const data = await readCopy(
      {
        copy,
        fetcher,
        position: () => version.readerAt(wanted.start),
        bring: (range) => orStale(fetcher?.need(range) ?? Promise.resolve()),
      },
      wanted.start,
      wanted.end - wanted.start,
    );
    if (!copy.retired) this.#open.set(copy, true);
    return data;
  }

  /** Undefined: what was read may be something else than the version. */
  async #readBorrowed(
    version: ServedVersion,
    node: FileNode,
    wanted: ByteRange,
  ): Promise<Buffer | undefined> {
    if (isBeingChanged(node)) return undefined;
    return this.#parts.openFiles.borrow(node, async ({ copy, fetcher }) => {
      const data = await readCopy(
        {
          copy,
          fetcher,
          position: () => version.readerAt(wanted.start),
          bring: (range) => this.#parts.data.bring(node, range),
        },
        wanted.start,
        wanted.end - wanted.start,
      );
      const setAside = this.#ownCopy(version)?.copy === copy;
      const untouched = version.node === node && node.copy === copy && !isBeingChanged(node);
      return setAside || untouched ? data : undefined;
    });
  }

  async #clone(node: FileNode, version: ObjectInfo): Promise<Copy | undefined> {
    const { store, log } = this.#context;
    const { copy } = node;
    if (copy === undefined || copy.retired || !copy.whole || copy.dirty) return undefined;
    const large = version.size > FETCH_WHOLE_BYTES;
    if (large && node.writers > 0) return undefined; // could be proven only by reading all of it
    try {
      return await store.clone(copy, version, { sharedOnly: large, quiet: node.writers === 0 });
    } catch (error) {
      log.warn(
        { object: version.name, err: error },
        "a version could not be put aside; readers get it from the bucket",
      );
      return undefined;
    }
  }

  fromBucket(version: ObjectInfo): SealedCopy {
    const { store, bucket } = this.#context;
    const copy = store.separate(version);
    return { copy, fetcher: copy.whole ? undefined : new Fetcher(bucket, copy) };
  }

  async beginFetch({ copy, fetcher }: SealedCopy): Promise<void> {
    if (!copy.whole && fetcher !== undefined)
      await this.#parts.openFiles.beginFetch(fetcher, copy.versionEnd);
  }

  #discard({ copy, fetcher }: SealedCopy): void {
    fetcher?.stop();
    this.#open.delete(copy);
    this.#context.store.discard(copy);
  }
}

/** A download was given up because its file is about to be something else: its version is to be had elsewhere. */
function undefinedIfStopped(error: unknown): undefined {
  if (!isBucketError(error, "aborted")) throw error;
}

/** Whether the file's copy may hold something else than its version, now or the next moment. */
function isBeingChanged(node: FileNode): boolean {
  const { copy } = node;
  return node.writers > 0 || copy?.dirty === true || (copy?.isOpen === true && copy.changed());
}
