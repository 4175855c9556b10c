// Copies of versions whose own file is about to hold, or holds, something else.
//
// `sealed` belongs to the version a file still stands for, from before somebody may write to the file's copy until the
// bucket has what was written. `kept` belongs to a version no file stands for any more, until the kernel forgets its
// number (RULES 30). Neither is ever written to but with bytes of its version.

import { LRUCache } from "lru-cache";
import type { ObjectInfo } from "../../bucket/bucket.ts";
import type { Copy } from "../../copies/copy.ts";
import { Fetcher } from "../../copies/fetch.ts";
import { nobodyCanWrite } from "../../copies/lease.ts";
import { holdsVersion } from "../../copies/snapshot.ts";
import type { Context } from "../context.ts";
import { isFile, type FileNode } from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { FETCH_WHOLE_BYTES } from "../sizes.ts";
import type { ServedNodes, ServedVersion } from "./served-nodes.ts";
import type { SealedCopy } from "./witness.ts";

/** Disk for replaced versions that the kernel still knows. Beyond it, the oldest are read from the bucket, if at all. */
const KEPT_BYTES_MAX = 1 << 30;
/** Copies put aside whose files stay open between reads. */
const OPEN_MAX = 64;

export interface SetAsideParts {
  readonly openFiles: OpenFiles;
  readonly nodes: ServedNodes;
}

export class SetAside {
  readonly #context: Context;
  readonly #parts: SetAsideParts;
  readonly #sealed = new Map<FileNode, SealedCopy>();
  readonly #kept: LRUCache<ServedVersion, SealedCopy>;
  readonly #open = new LRUCache<Copy, true>({ max: OPEN_MAX, dispose: (_, copy) => copy.close() });

  constructor(context: Context, parts: SetAsideParts) {
    this.#context = context;
    this.#parts = parts;
    this.#kept = new LRUCache({
      maxSize: KEPT_BYTES_MAX,
      // What is larger than the limit is not dropped without a word: it is the only one then.
      sizeCalculation: ({ copy }) => Math.min(KEPT_BYTES_MAX, Math.max(1, copy.version?.size ?? 1)),
      dispose: (sealed) => this.discard(sealed),
    });
  }

  /** What was put aside of a version, if anything was. */
  of(version: ServedVersion): SealedCopy | undefined {
    return this.#kept.get(version) ?? (isFile(version.node) ? this.#sealed.get(version.node) : undefined);
  }

  ofFile(node: FileNode): SealedCopy | undefined {
    return this.#sealed.get(node);
  }

  /** A version no file stands for has this copy, for as long as its number is known. */
  keep(version: ServedVersion, sealed: SealedCopy): void {
    if (this.#parts.nodes.has(version)) this.#kept.set(version, sealed);
    else this.discard(sealed);
  }

  /** Makes sure that the file's version can be read whatever is written to its copy. Call in its `openings` turn. */
  async secure(node: FileNode): Promise<void> {
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
    this.#fetchSoon(sealed);
  }

  /** See Witness. */
  async takeOver(node: FileNode): Promise<boolean> {
    const attached = this.#context.tree.isAttached(node);
    if (!attached && this.#sealed.has(node)) {
      this.superseded(node); // the file's copy is something else
      return false;
    }
    if (node.version === undefined || this.#sealed.has(node)) return false;
    await this.#haveCopy(node);
    if (!(await this.#isVersionItself(node))) return false;
    const { copy, fetcher } = node;
    if (copy === undefined) return false;
    const sealed = { copy, fetcher };
    if (attached) this.#sealed.set(node, sealed);
    else {
      const served = this.#parts.nodes.leave(node);
      if (served === undefined) return false;
      this.#kept.set(served, sealed);
    }
    Object.assign(node, { copy: undefined, fetcher: undefined, lastSummed: undefined });
    this.opened(copy);
    this.#fetchSoon(sealed);
    return true;
  }

  /** The node will stand for another version: what was put aside goes on for those who know this one by number. */
  superseded(node: FileNode): void {
    const served = this.#parts.nodes.leave(node);
    const sealed = this.giveBack(node);
    if (sealed === undefined) return;
    if (served === undefined) this.discard(sealed);
    else this.keep(served, sealed);
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

  /** A copy was read: it stays open until many others were. */
  opened(copy: Copy): void {
    if (!copy.retired) this.#open.set(copy, true);
  }

  /** A copy of its own, of which nothing is here yet. */
  fromBucket(version: ObjectInfo): SealedCopy {
    const { store, bucket } = this.#context;
    const copy = store.separate(version);
    return { copy, fetcher: copy.whole ? undefined : new Fetcher(bucket, copy) };
  }

  /** As at an open: all of a small one, the first of a larger. ESTALE if the bucket does not have it any more. */
  async beginFetch({ copy, fetcher }: SealedCopy): Promise<void> {
    if (!copy.whole && fetcher !== undefined)
      await this.#parts.openFiles.beginFetch(fetcher, copy.versionEnd);
  }

  discard({ copy, fetcher }: SealedCopy): void {
    fetcher?.stop();
    this.#open.delete(copy);
    this.#context.store.discard(copy);
  }

  /** Nobody reads any more. */
  close(): void {
    for (const node of this.#sealed.keys()) this.superseded(node);
    this.#kept.clear();
  }

  /** Of what the kernel may ask for, a copy of an earlier use or run is worth looking for. */
  async #haveCopy(node: FileNode): Promise<void> {
    const gone = node.copy === undefined || node.copy.retired;
    if (gone && this.#parts.nodes.known(node) !== undefined) await this.#parts.openFiles.obtainCopy(node);
  }

  /** Whether the file's copy is its version's, some of it is here, and nobody can write to it. It is pinned then. */
  async #isVersionItself(node: FileNode): Promise<boolean> {
    const { copy, fetcher, version, lastSummed } = node;
    if (copy === undefined || version === undefined || !this.#context.store.pin(copy)) return false;
    if (copy.changed() || copy.version?.generation !== version.generation) return false;
    if (!copy.whole && copy.present?.total === 0 && fetcher?.busy !== true) return false;
    if (copy.mayBeMapped && !nobodyCanWrite(copy)) return false;
    // What was stored in the tick of the clock in which it was last summed would not show.
    return lastSummed === undefined || lastSummed.rested || (await holdsVersion(copy, version));
  }

  async #clone(node: FileNode, version: ObjectInfo): Promise<Copy | undefined> {
    const { store, log } = this.#context;
    const { copy, lastSummed } = node;
    if (copy === undefined || copy.retired || !copy.whole || copy.dirty) return undefined;
    const large = version.size > FETCH_WHOLE_BYTES;
    if (large && node.writers > 0) return undefined; // could be proven only by reading all of it
    const quiet = node.writers === 0 && (lastSummed === undefined || lastSummed.rested);
    try {
      return await store.clone(copy, version, { sharedOnly: large, quiet });
    } catch (error) {
      log.warn(
        { object: version.name, err: error },
        "a version could not be put aside; readers get it from the bucket",
      );
      return undefined;
    }
  }

  /** At once, while the bucket still has it. Those who read are told themselves if it does not. */
  #fetchSoon(sealed: SealedCopy): void {
    if (sealed.copy.whole) return;
    this.#context.background.start("put aside", () => this.beginFetch(sealed).catch(() => undefined));
  }
}
