// Opening and closing files, and how the kernel gets at their bytes.
//
// While any handle of a file is open the file is in one mode (FUSE.md §3): `kernel`, the kernel reads and writes
// the copy's file by itself, or `daemon`, it asks us. The first open decides; a whole copy means `kernel`,
// except for read-only opens of small files, which are faster from the page cache.

import { constants } from "node:fs";
import { Fetcher, ReaderPosition } from "../copies/fetch.ts";
import { refreshTimes } from "./attributes-of.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { HandleId, OpenedFile } from "./filesystem.ts";
import type { FileNode, OpenFile } from "./nodes.ts";
import type { LateStores } from "./late-stores.ts";
import { takeFromKernel, unshare, type Resting } from "./resting.ts";
import type { SealedCopy } from "./serve/witness.ts";
import { FETCH_IN_OPEN_BYTES, FETCH_WHOLE_BYTES, PAGE_CACHE_BYTES } from "./sizes.ts";
import { orRenamed, orStale } from "./stale.ts";

const { O_ACCMODE, O_APPEND, O_DSYNC, O_RDONLY, O_TRUNC } = { ...constants, O_ACCMODE: 3 };
/** The kernel adds it when exec opens a file (__FMODE_EXEC in linux/fs.h); programs cannot. */
const OPENED_BY_EXEC = 0o40;

/** Only the new end of it goes up then, which takes our seeing where is written. */
function isAppendToLarge({ size, version }: FileNode, flags: number): boolean {
  const appends = (flags & O_APPEND) !== 0 && (flags & O_ACCMODE) !== O_RDONLY;
  return appends && version !== undefined && size > FETCH_IN_OPEN_BYTES;
}

export class OpenFiles {
  readonly #context: Context;
  readonly #resting: Resting;
  readonly #lateStores: LateStores;
  readonly #handles = new Map<HandleId, OpenFile>();
  #nextHandle: number;

  constructor(context: Context, { resting, lateStores }: { resting: Resting; lateStores: LateStores }) {
    this.#context = context;
    this.#resting = resting;
    this.#lateStores = lateStores;
    this.#nextHandle = context.journal.firstOf("handle", 1);
  }

  get(id: HandleId): OpenFile {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FileSystemError("EBADF", `handle ${id} is not open`);
    return handle;
  }

  /** Opens a file whose version has been confirmed. `created`: it was made for this handle. */
  open(node: FileNode, flags: number, created = false): Promise<OpenedFile> {
    const writable = mayChange(flags);
    if (writable) this.refuseIfReadOnly();
    return node.openings.run(async () => {
      try {
        if (node.opened.size === 0 && !created) node.writtenWhole = false;
        if ((flags & O_TRUNC) !== 0 && !created) {
          refuseIfRunning(node, flags);
          await this.empty(node);
        }
        await this.#prepare(node, flags);
        return this.#admit(node, flags);
      } catch (error) {
        if (node.opened.size === 0) this.#resting.soon(node); // what was made ready for it
        throw error;
      }
    });
  }

  /** A handle that is open from now on, or was under an earlier worker. */
  restore(handle: OpenFile): void {
    this.#handles.set(handle.id, handle);
    handle.node.addHandle(handle);
    this.#context.journal.note(handle.node);
  }

  refuseIfReadOnly(): void {
    if (this.#context.readOnly) throw new FileSystemError("EROFS", "mounted read-only");
    if (this.#context.stopping()) throw new FileSystemError("EROFS", "the mount is being stopped");
  }

  /** Truncates to nothing before writing: a fresh copy file, unless somebody uses the old one. */
  async empty(node: FileNode): Promise<void> {
    const { store, tree, witness } = this.#context;
    this.#refuseSupplanted(node);
    await this.#context.owing()?.beforeChange(node, node.opened.size === 0);
    const name = tree.isAttached(node) ? tree.objectName(node) : "";
    if (node.opened.size === 0) {
      unshare(this.#context, node);
      if (await witness().takeOver(node)) return this.#beginAfresh(node, name);
    }
    const { copy } = node;
    const keptInPlace = node.opened.size > 0 || copy?.isOpen === true || node.version === undefined;
    if (copy !== undefined && keptInPlace && store.pin(copy)) {
      await store.withdraw(copy, name);
      await witness().beforeWrite(node);
      node.fetcher?.stop();
      node.fetcher = undefined;
      await copy.truncate(0);
      this.#emptied(node);
      return;
    }
    if (copy?.promised === true) store.rest(copy);
    else if (copy !== undefined) store.discard(copy);
    this.#beginAfresh(node, name);
  }

  #beginAfresh(node: FileNode, name: string): void {
    const { store, witness } = this.#context;
    unshare(this.#context, node);
    try {
      node.copy = store.create(name); // may fail, for want of space
    } catch (error) {
      const before = witness().giveBack(node);
      node.copy = before?.copy;
      node.fetcher = before?.fetcher;
      throw error;
    }
    node.fetcher = undefined;
    this.#emptied(node);
  }

  /** The copy of a file in the bucket, with what an earlier use or run left of it. */
  async obtainCopy(node: FileNode): Promise<void> {
    const { store, bucket } = this.#context;
    if (node.copy !== undefined && store.pin(node.copy)) return;
    const { version } = node;
    if (version === undefined)
      throw new FileSystemError("EIO", "a file that was never uploaded lost its copy");
    const copy = await store.obtain(version);
    const now = node.version;
    // Renamed meanwhile: the same bytes, which the bucket has under another name.
    if (now?.crc32c === version.crc32c && now.size === version.size) copy.version = now;
    node.copy = copy;
    node.lastSummed = undefined;
    node.fetcher = copy.whole ? undefined : new Fetcher(bucket, copy);
  }

  /** Before any change of a copy's bytes. */
  async allowWrites(node: FileNode): Promise<void> {
    const { store, tree } = this.#context;
    await this.#context.owing()?.beforeChange(node, false);
    const elsewhere = node.conflict ?? node.following?.object;
    if (node.copy !== undefined)
      await store.withdraw(
        node.copy,
        tree.isAttached(node) ? tree.objectName(node) : (elsewhere?.name ?? ""),
      );
    await this.#context.witness().beforeWrite(node); // last: nothing may come between this and the writing
  }

  /** Runs `work` on the copy of a file that need not be open; nobody puts it to rest meanwhile. */
  async borrow<T>(node: FileNode, work: (borrowed: SealedCopy) => Promise<T>): Promise<T> {
    node.borrowers += 1;
    try {
      await node.openings.run(() => this.obtainCopy(node));
      const { copy, fetcher } = node;
      if (copy === undefined) throw new FileSystemError("EIO", "no copy");
      if (!copy.whole && fetcher !== undefined)
        await orRenamed(node, () => this.#beginFetch(fetcher, copy.versionEnd));
      return await work({ copy, fetcher });
    } finally {
      node.borrowers -= 1;
      if (node.borrowers === 0 && node.opened.size === 0) this.#resting.soon(node);
    }
  }

  /** Gives up a handle. What the last one leaves is saved, kept as cache, or dropped. */
  async release(id: HandleId): Promise<void> {
    const handle = this.get(id);
    const { node } = handle;
    this.#handles.delete(id);
    node.removeHandle(handle);
    this.#context.journal.note(node);
    if (node.opened.size > 0) {
      if (node.writers === 0) this.#lateStores.watch(node);
      return;
    }
    try {
      if (node.saveError !== undefined) await this.#resting.giveUp(node);
    } finally {
      this.#resting.soon(node);
    }
  }

  /** Open files with changes the bucket does not have, and uploads under way. What was unlinked is owed to nobody. */
  unsaved(): number {
    const nodes = new Set([...this.#handles.values()].map(({ node }) => node));
    let count = 0;
    for (const node of nodes) {
      if (!this.#context.tree.isAttached(node) && node.conflict === undefined) continue;
      const willBeSaved = node.writers > 0 || this.#lateStores.isWatching(node);
      if (node.save?.running === true || (willBeSaved && node.copy?.changed() === true)) count += 1;
    }
    return count;
  }

  /** Handles there are, and files with uploads under way. */
  get activity(): { open: number; uploading: number } {
    const nodes = new Set([...this.#handles.values()].map(({ node }) => node));
    return {
      open: this.#handles.size,
      uploading: [...nodes].filter(({ save }) => save?.running === true).length,
    };
  }

  /** Brings all bytes of a file nobody has open, ESTALE if its version is gone. They stay for the open that follows. */
  async fetch(node: FileNode, keepMs: number): Promise<void> {
    try {
      await node.openings.run(async () => {
        await this.obtainCopy(node);
        if (node.copy?.whole === false && node.fetcher !== undefined) await orStale(node.fetcher.whole());
      });
      node.heldUntilMs = this.#context.monotonicMs() + keepMs;
    } finally {
      this.#resting.soon(node, keepMs);
    }
  }

  async #prepare(node: FileNode, flags: number): Promise<void> {
    this.#resting.cancel(node);
    node.unreadSinceMs = undefined;
    await this.obtainCopy(node);
    const { copy, fetcher } = node;
    const appends = isAppendToLarge(node, flags);
    if (appends) await takeFromKernel(this.#context, node);
    if (copy !== undefined && !copy.whole && fetcher !== undefined && !appends)
      await orRenamed(node, () => this.#beginFetch(fetcher, copy.versionEnd));
    if (mayChange(flags)) await this.allowWrites(node);
  }

  /** A version that is gone must show now, while the kernel can still look for the newer one, not at the first read. */
  beginFetch(fetcher: Fetcher, size: number): Promise<void> {
    return orStale(this.#beginFetch(fetcher, size));
  }

  async #beginFetch(fetcher: Fetcher, size: number): Promise<void> {
    if (size <= FETCH_IN_OPEN_BYTES) return fetcher.whole();
    if (size > FETCH_WHOLE_BYTES || !(await this.#context.store.space.allows(size))) return;
    this.#context.background.start("fetch", () => fetcher.whole().catch(() => undefined)); // readers are told themselves
    await fetcher.need({ start: 0, end: 1 });
  }

  #admit(node: FileNode, flags: number): OpenedFile {
    const copy = node.copy;
    if (copy === undefined) throw new FileSystemError("EIO", "no copy");
    const writable = mayChange(flags);
    const append = (flags & O_APPEND) !== 0;
    const running = (flags & OPENED_BY_EXEC) !== 0;
    if (writable) this.#refuseSupplanted(node); // from here on the file counts as written to
    refreshTimes(node);
    node.mayBeStoredTo = false;
    node.access ??= this.#chooseAccess(node, flags);
    const noFlush = !writable && node.version !== undefined; // closing a file that was just made makes its object
    this.#context.journal.reserve("handle", this.#nextHandle);
    const id = this.#nextHandle++ as HandleId;
    this.restore({ id, node, writable, append, running, opener: 0, position: new ReaderPosition() });
    if (node.writers === 0) this.#lateStores.watch(node);
    if (node.access === "kernel" && node.backing !== undefined) {
      if (writable) {
        node.contentSerial += 1;
        copy.mayBeMapped = true;
        copy.changedUnseen = true;
      }
      return { handle: id, access: { by: "kernel", backing: node.backing }, noFlush };
    }
    const keepCache = node.pagesSerial === node.contentSerial;
    node.pagesSerial = node.contentSerial;
    return { handle: id, access: { by: "daemon", keepCache }, noFlush };
  }

  #chooseAccess(node: FileNode, flags: number): "kernel" | "daemon" {
    const { copy } = node;
    if (copy === undefined || !copy.whole) return "daemon";
    // Through the kernel, a synchronous write would reach the local disk only (RULES 29).
    if ((flags & O_DSYNC) !== 0 || isAppendToLarge(node, flags)) return "daemon";
    if (!mayChange(flags) && copy.observe().size <= PAGE_CACHE_BYTES) return "daemon";
    if (mayChange(flags) && this.#context.store.space.scarce) return "daemon"; // the kernel knows of no reserve (RULES 12)
    node.backing ??= this.#context.kernel().shareFile(copy.descriptor);
    if (node.backing === undefined) return "daemon";
    node.seenModifiedNs = copy.observe().modifiedNs;
    return "kernel";
  }

  /** What a writer of an old version closed would reach nobody. */
  #refuseSupplanted(node: FileNode): void {
    const { tree } = this.#context;
    if (node.supplanted || (node.parent !== undefined && !tree.isAttached(node)))
      throw new FileSystemError("ESTALE", "the name has a newer version, or none");
  }

  #emptied(node: FileNode): void {
    const now = this.#context.wallNs();
    Object.assign(node, { writtenWhole: true, timeGiven: false, modifyTimeNs: now, changeTimeNs: now });
    node.contentSerial += 1;
    if (node.copy !== undefined) node.seenModifiedNs = node.copy.observe().modifiedNs;
  }
}

/** On Linux O_TRUNC truncates even what is opened for reading only; the kernel has checked that the caller may write. */
function mayChange(flags: number): boolean {
  return (flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0;
}

/**
 * The kernel refuses writers of a program that runs before it asks us, but those who would empty it by an open for
 * reading only after that, when it is too late.
 */
function refuseIfRunning(node: FileNode, flags: number): void {
  if ((flags & O_ACCMODE) !== O_RDONLY) return;
  for (const { running } of node.opened)
    if (running) throw new FileSystemError("ETXTBSY", "the program runs");
}
