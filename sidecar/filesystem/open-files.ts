// Opening files, how the kernel gets at their bytes, and what happens after the last close.
//
// While any handle of a file is open the file is in one mode (FUSE.md §3): `kernel`, the kernel reads and writes
// the copy's file by itself, or `daemon`, it asks us. The first open decides; a whole copy means `kernel`,
// except for read-only opens of small files, which are faster from the page cache.

import { constants } from "node:fs";
import { Fetcher, ReaderPosition } from "../copies/fetch.ts";
import { nobodyCanWrite } from "../copies/lease.ts";
import { stillEquals } from "../copies/snapshot.ts";
import type { Context } from "./context.ts";
import { FileSystemError } from "./errors.ts";
import type { HandleId, OpenedFile } from "./filesystem.ts";
import type { FileNode, OpenFile } from "./nodes.ts";
import type { Saver } from "./save.ts";
import { orStale } from "./stale.ts";

const { O_ACCMODE, O_APPEND, O_DSYNC, O_RDONLY, O_TRUNC } = { ...constants, O_ACCMODE: 3 };

/** Objects up to here are fetched inside open: one request either way. */
const FETCH_IN_OPEN_BYTES = 1 << 20;
/** Objects up to here are fetched whole by one GET that starts at open (RULES 13). */
export const FETCH_WHOLE_BYTES = 64 << 20;
/** Read-only opens of copies up to here are served through the page cache. */
const PAGE_CACHE_BYTES = 4 << 20;
/** Time given to a file after its last close before it is put to rest; most reopen at once or not soon. */
const REST_AFTER_MS = 50;
/** How often a file that somebody may still write to through a mapping is looked at again (RULES 1). */
const MAPPED_LOOK_MS = 1000;

export class OpenFiles {
  readonly #context: Context;
  readonly #saver: Saver;
  readonly #handles = new Map<HandleId, OpenFile>();
  readonly #resting = new Map<FileNode, NodeJS.Timeout>();
  #nextHandle = 1;
  #closed = false;

  constructor(context: Context, saver: Saver) {
    this.#context = context;
    this.#saver = saver;
  }

  get(id: HandleId): OpenFile {
    const handle = this.#handles.get(id);
    if (handle === undefined) throw new FileSystemError("EBADF", `handle ${id} is not open`);
    return handle;
  }

  /** Opens a file whose version has been confirmed. `created`: it was made for this handle. */
  open(node: FileNode, flags: number, created = false): Promise<OpenedFile> {
    const writable = (flags & O_ACCMODE) !== O_RDONLY;
    if (writable) this.refuseIfReadOnly();
    return node.openings.run(async () => {
      try {
        if (writable && (flags & O_TRUNC) !== 0 && !created) await this.empty(node);
        await this.#prepare(node, writable);
        return this.#admit(node, flags);
      } catch (error) {
        if (node.opened.size === 0) this.restSoon(node); // what was made ready for it
        throw error;
      }
    });
  }

  refuseIfReadOnly(): void {
    if (this.#context.readOnly) throw new FileSystemError("EROFS", "mounted read-only");
    if (this.#context.stopping()) throw new FileSystemError("EROFS", "the mount is being stopped");
  }

  /** Truncates to nothing before writing: a fresh copy file, unless somebody uses the old one. */
  async empty(node: FileNode): Promise<void> {
    const { store, tree } = this.#context;
    this.#refuseSupplanted(node);
    const { copy } = node;
    const name = tree.isAttached(node) ? tree.objectName(node) : "";
    if (copy !== undefined && (node.opened.size > 0 || copy.isOpen || node.version === undefined)) {
      if (store.pin(copy)) {
        await store.withdraw(copy, name);
        node.fetcher?.stop();
        node.fetcher = undefined;
        await copy.truncate(0);
        this.#emptied(node);
        return;
      }
    }
    if (copy?.promised === true) store.rest(copy);
    else if (copy !== undefined) store.discard(copy);
    this.#unshare(node);
    node.copy = store.create(name);
    this.#emptied(node);
  }

  /** The copy of a file in the bucket, with what an earlier use or run left of it. */
  async obtainCopy(node: FileNode): Promise<void> {
    const { store, bucket } = this.#context;
    if (node.copy !== undefined && store.pin(node.copy)) return;
    const { version } = node;
    if (version === undefined)
      throw new FileSystemError("EIO", "a file that was never uploaded lost its copy");
    node.copy = await store.obtain(version);
    node.lastSummed = undefined;
    node.fetcher = node.copy.whole ? undefined : new Fetcher(bucket, node.copy);
  }

  /** Before any change of a copy's bytes. */
  async allowWrites(node: FileNode): Promise<void> {
    const { store, tree } = this.#context;
    if (node.copy !== undefined)
      await store.withdraw(node.copy, tree.isAttached(node) ? tree.objectName(node) : "");
  }

  /** Gives up a handle. What the last one leaves is saved, kept as cache, or dropped. */
  async release(id: HandleId): Promise<void> {
    const handle = this.get(id);
    const { node } = handle;
    this.#handles.delete(id);
    node.opened.delete(handle);
    if (node.opened.size > 0) return;
    for (const closed of node.whenClosed.splice(0)) closed();
    try {
      if (node.saveError !== undefined) await this.giveUp(node);
    } finally {
      this.restSoon(node);
    }
  }

  /** Open files with changes the bucket does not have, and uploads under way. */
  unsaved(): number {
    const nodes = new Set([...this.#handles.values()].map(({ node }) => node));
    let count = 0;
    for (const node of nodes)
      if (node.save?.running === true || (node.writers > 0 && node.copy?.changed() === true)) count += 1;
    return count;
  }

  /** After the last use of a copy: puts it to rest when nobody came back meanwhile. */
  restSoon(node: FileNode, delayMs = REST_AFTER_MS): void {
    if (this.#closed) return;
    clearTimeout(this.#resting.get(node));
    const timer = setTimeout(() => {
      this.#resting.delete(node);
      this.#context.background.start("rest", () => this.rest(node));
    }, delayMs);
    this.#resting.set(node, timer);
  }

  /** Puts every closed file to rest now. */
  async restAll(): Promise<void> {
    this.#closed = true;
    const nodes = [...this.#resting.keys()];
    for (const timer of this.#resting.values()) clearTimeout(timer);
    this.#resting.clear();
    await Promise.all(nodes.map((node) => this.rest(node)));
  }

  /** Closes, keeps, uploads again or drops the copy of a file nobody has open. */
  async rest(node: FileNode): Promise<void> {
    const unsaved = await node.openings.run(async () => {
      const { copy } = node;
      if (copy === undefined || node.opened.size > 0 || copy.retired) return false;
      if (node.heldUntilMs > this.#context.monotonicMs()) {
        this.restSoon(node, node.heldUntilMs - this.#context.monotonicMs());
        return false;
      }
      this.#unshare(node);
      node.access = undefined;
      node.writtenWhole = false;
      return this.#settle(node);
    });
    if (!unsaved) return;
    node.contentSerial += 1;
    try {
      await this.#saver.save(node);
      this.restSoon(node);
    } catch (error) {
      this.#context.log.error(
        { object: node.name, err: error },
        "a change after the last close could not be uploaded",
      );
      await this.giveUp(node);
    }
  }

  /** Keeps aside what could not be uploaded, unless somebody has the file open: then that is asked at the last close. */
  async giveUp(node: FileNode): Promise<void> {
    await node.openings.run(async () => {
      if (node.opened.size > 0) return;
      this.#unshare(node);
      node.access = undefined;
      node.writtenWhole = false;
      await this.#saver.giveUp(node);
    });
  }

  /** Whether the file has changes to upload; otherwise its copy is kept as cache or dropped. */
  async #settle(node: FileNode): Promise<boolean> {
    const { store, tree, log, stopping } = this.#context;
    const { copy } = node;
    if (copy === undefined) return false;
    if (!tree.isAttached(node)) {
      node.fetcher?.stop();
      store.discard(copy);
      return false;
    }
    if (node.version === undefined || copy.changed()) return true;
    if (node.fetcher?.busy === true) {
      if (stopping()) node.fetcher.stop();
      this.restSoon(node, MAPPED_LOOK_MS); // bytes are still being written to the file
      return false;
    }
    if (copy.promised) {
      store.rest(copy);
      return false;
    }
    if (copy.whole && !nobodyCanWrite(copy)) {
      log.debug({ object: node.name }, "still mapped for writing");
      this.restSoon(node, MAPPED_LOOK_MS);
      return copy.changed();
    }
    if (node.lastSummed !== undefined && copy.whole && !(await stillEquals(copy, node.lastSummed))) {
      copy.dirty = true;
      return true;
    }
    node.lastSummed = undefined;
    this.#keep(node);
    return false;
  }

  #keep(node: FileNode): void {
    const { store, background } = this.#context;
    const { copy, version } = node;
    if (copy === undefined || version === undefined) return;
    if (!copy.whole && copy.present?.total === 0) {
      node.fetcher?.stop();
      node.copy = undefined;
      store.discard(copy);
      return;
    }
    background.start("keep copy", () =>
      node.openings.run(async () => {
        if (node.opened.size === 0 && node.copy === copy && !copy.changed()) await store.keep(copy, version);
      }),
    );
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
      this.restSoon(node, keepMs);
    }
  }

  async #prepare(node: FileNode, writable: boolean): Promise<void> {
    clearTimeout(this.#resting.get(node));
    this.#resting.delete(node);
    await this.obtainCopy(node);
    const { copy, fetcher } = node;
    if (copy !== undefined && !copy.whole && fetcher !== undefined)
      await this.#beginFetch(fetcher, copy.versionEnd);
    if (writable) await this.allowWrites(node);
  }

  /** A version that is gone must show now, while the kernel can still look for the newer one, not at the first read. */
  async #beginFetch(fetcher: Fetcher, size: number): Promise<void> {
    if (size <= FETCH_IN_OPEN_BYTES) return orStale(fetcher.whole());
    if (size > FETCH_WHOLE_BYTES) return;
    this.#context.background.start("fetch", () => fetcher.whole().catch(() => undefined)); // readers are told themselves
    await orStale(fetcher.need({ start: 0, end: 1 }));
  }

  #admit(node: FileNode, flags: number): OpenedFile {
    const copy = node.copy;
    if (copy === undefined) throw new FileSystemError("EIO", "no copy");
    const writable = (flags & O_ACCMODE) !== O_RDONLY;
    const append = (flags & O_APPEND) !== 0;
    if (writable) this.#refuseSupplanted(node); // from here on the file counts as written to
    node.access ??= this.#chooseAccess(node, flags);
    const id = this.#nextHandle++ as HandleId;
    const handle: OpenFile = { id, node, writable, append, position: new ReaderPosition() };
    this.#handles.set(id, handle);
    node.opened.add(handle);
    if (node.access === "kernel" && node.backing !== undefined) {
      if (writable) node.contentSerial += 1;
      return { handle: id, access: { by: "kernel", backing: node.backing }, noFlush: !writable };
    }
    const keepCache = node.pagesSerial === node.contentSerial;
    node.pagesSerial = node.contentSerial;
    return { handle: id, access: { by: "daemon", keepCache }, noFlush: !writable };
  }

  #chooseAccess(node: FileNode, flags: number): "kernel" | "daemon" {
    const { copy } = node;
    if (copy === undefined || !copy.whole) return "daemon";
    // Through the kernel, a synchronous write would reach the local disk only (RULES 29).
    if ((flags & O_DSYNC) !== 0) return "daemon";
    if ((flags & O_ACCMODE) === O_RDONLY && copy.observe().size <= PAGE_CACHE_BYTES) return "daemon";
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

  #unshare(node: FileNode): void {
    if (node.backing === undefined) return;
    this.#context.kernel().unshareFile(node.backing);
    node.backing = undefined;
  }

  #emptied(node: FileNode): void {
    const now = this.#context.wallNs();
    Object.assign(node, { writtenWhole: true, timeGiven: false, modifyTimeNs: now, changeTimeNs: now });
    node.contentSerial += 1;
    if (node.copy !== undefined) node.seenModifiedNs = node.copy.observe().modifiedNs;
  }
}
