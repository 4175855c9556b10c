// Where the bytes of a served version come from.
//
// As long as nobody writes, from the file's own copy. It may be written to by the kernel without a word to us, so what
// was read from it counts only if it is unchanged afterwards. Otherwise from what was put aside before anyone could
// write (set-aside.ts), or from the bucket. What cannot be had any more fails; it is never mixed with anything else.

import type { ObjectInfo } from "../../bucket/bucket.ts";
import { isBucketError } from "../../bucket/errors.ts";
import { isSameVersion } from "../../bucket/same-version.ts";
import type { ByteRange } from "../../lib/extents.ts";
import { isStale } from "../contested.ts";
import { FileSystemError } from "../errors.ts";
import type { FileData } from "../file-data.ts";
import { isFile, movesEnded, type FileNode } from "../nodes.ts";
import type { OpenFiles } from "../open-files.ts";
import { FETCH_WHOLE_BYTES } from "../sizes.ts";
import { readCopy } from "../read-copy.ts";
import { orStale } from "../stale.ts";
import type { ServedNodes, ServedVersion } from "./served-nodes.ts";
import type { SetAside } from "./set-aside.ts";
import type { SealedCopy } from "./witness.ts";

/** Each round lost means that the file was opened for writing, replaced or renamed once more meanwhile. */
const READ_ATTEMPTS = 10;
const EMPTY = Buffer.alloc(0);

export interface VersionBytesParts {
  readonly openFiles: OpenFiles;
  readonly data: FileData;
  readonly nodes: ServedNodes;
  readonly setAside: SetAside;
  readonly monotonicMs: () => number;
  /** Whether the disk has room for so many bytes more. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
}

export class VersionBytes {
  readonly #parts: VersionBytesParts;
  /** Of which the bucket has begun to send what it sends at once: replaced now, it goes on sending. */
  readonly #begun = new WeakSet<SealedCopy>();

  constructor(parts: VersionBytesParts) {
    this.#parts = parts;
  }

  /** Bytes of this version and of no other; short only at its end. ESTALE if they cannot be had any more. */
  async read(version: ServedVersion, offset: number, length: number): Promise<Buffer> {
    const wanted = { start: offset, end: Math.min(offset + length, version.version.size) };
    if (wanted.start >= wanted.end) return EMPTY;
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
      const data = await this.#tryToRead(version, wanted);
      if (data !== undefined) return data;
    }
    throw new FileSystemError("EIO", "the file is opened for writing again and again");
  }

  /** Undefined: where the bytes were has changed meanwhile. */
  async #tryToRead(version: ServedVersion, wanted: ByteRange): Promise<Buffer | undefined> {
    const { node } = version;
    const asked = version.version;
    const own = this.#parts.setAside.of(version);
    try {
      if (own !== undefined) return await this.#readOwn(version, own, wanted);
      if (!isFile(node)) return this.#lookInBucket(version);
      const data = await this.#readBorrowed(version, node, wanted);
      if (data === undefined) await this.#secure(node);
      return data;
    } catch (error) {
      // Given up because the file is about to be something else: its version is to be had elsewhere.
      if (isBucketError(error, "aborted")) return undefined;
      if (own !== undefined) this.#begun.delete(own);
      if (isStale(error) && isFile(node) && (await wasRenamed(version, node, asked))) return undefined;
      throw error;
    }
  }

  /** Nothing was kept of it: only a bucket that keeps old versions still has it. */
  #lookInBucket(version: ServedVersion): undefined {
    const { nodes, setAside } = this.#parts;
    if (!nodes.has(version)) throw new FileSystemError("ESTALE", "the version was forgotten");
    setAside.keep(version, setAside.fromBucket(version.version));
  }

  /**
   * Begins to fetch a file nobody writes to: all of a small one, the first of a larger, whose rest is given up if nobody
   * reads soon. ESTALE if its version is gone.
   */
  begin(node: FileNode): Promise<void> {
    if (node.opened.size === 0) node.unreadSinceMs = this.#parts.monotonicMs();
    return this.#parts.openFiles.borrow(node, () => Promise.resolve());
  }

  /**
   * Before a file is given out whose copy somebody is writing to: its version must stay readable. False if it is
   * not certain yet, so that one has to look again. ESTALE if the bucket does not have it any more.
   */
  async isReadable(node: FileNode): Promise<boolean> {
    const { setAside } = this.#parts;
    const sealed = setAside.ofFile(node);
    if (sealed === undefined) {
      if (!isBeingChanged(node)) return true;
      await this.#secure(node);
      return false;
    }
    if (sealed.copy.whole || this.#begun.has(sealed)) return true;
    try {
      await setAside.beginFetch(sealed);
      const { copy, fetcher } = sealed;
      if (copy.versionEnd > FETCH_WHOLE_BYTES) await orStale(fetcher?.need({ start: 0, end: 1 }));
      this.#begun.add(sealed);
    } catch (error) {
      if (!isBucketError(error, "aborted")) throw error;
    }
    return false;
  }

  #secure(node: FileNode): Promise<void> {
    return node.openings.run(() => this.#parts.setAside.secure(node));
  }

  async #readOwn(version: ServedVersion, sealed: SealedCopy, wanted: ByteRange): Promise<Buffer> {
    const { copy, fetcher } = sealed;
    await this.#parts.setAside.beginFetch(sealed);
    const data = await readCopy(
      {
        copy,
        fetcher,
        position: () => version.readerAt(wanted.start),
        bring: (range) => orStale(fetcher?.need(range)),
        hasRoom: this.#parts.hasRoom,
        pass: async (range) => (await orStale(fetcher?.passing(range))) ?? Buffer.alloc(0),
      },
      wanted.start,
      wanted.end - wanted.start,
    );
    this.#parts.setAside.opened(copy);
    return data;
  }

  /** Undefined: what was read may be something else than the version. */
  async #readBorrowed(
    version: ServedVersion,
    node: FileNode,
    wanted: ByteRange,
  ): Promise<Buffer | undefined> {
    if (isBeingChanged(node)) return undefined;
    node.unreadSinceMs = undefined;
    return this.#parts.openFiles.borrow(node, async ({ copy, fetcher }) => {
      const data = await readCopy(
        {
          copy,
          fetcher,
          position: () => version.readerAt(wanted.start),
          bring: (range) => this.#parts.data.bring(node, range),
          hasRoom: this.#parts.hasRoom,
          pass: (range) => this.#parts.data.pass(node, range),
        },
        wanted.start,
        wanted.end - wanted.start,
      );
      const setAside = this.#parts.setAside.of(version)?.copy === copy;
      const own = version.node === node && node.copy === copy;
      const sameVersion = copy.version?.generation === node.version?.generation;
      return setAside || (own && sameVersion && !isBeingChanged(node)) ? data : undefined;
    });
  }
}

/** A version that the bucket does not have may only have another name by now; one that is being renamed is waited for. */
async function wasRenamed(version: ServedVersion, node: FileNode, asked: ObjectInfo): Promise<boolean> {
  await movesEnded(node);
  await node.changes.run(() => Promise.resolve());
  return version.node === node && !isSameVersion(version.version, asked);
}

/** Whether the file's copy may hold something else than its version, now or the next moment. */
function isBeingChanged(node: FileNode): boolean {
  const { copy } = node;
  return node.writers > 0 || copy?.dirty === true || (copy?.isOpen === true && copy.changed());
}
