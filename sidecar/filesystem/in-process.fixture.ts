// A filesystem in this process, over a bucket that keeps names and lengths.

import { constants } from "node:fs";
import { crc32c } from "@node-rs/crc32";
import type { ExecutionContext } from "ava";
import type {
  Bucket,
  Dated,
  ListQuery,
  ObjectInfo,
  ObjectProperties,
  UploadOptions,
  UploadSource,
} from "../bucket/bucket.ts";
import { BucketError } from "../bucket/errors.ts";
import { openStore, temporaryFolder } from "../copies/folder.fixture.ts";
import { OwedWork } from "../copies/owed-work.ts";
import { createLog } from "../telemetry/log.ts";
import { ROOT_INODE, type Caller, type Kernel } from "./filesystem.ts";
import type { NodeJournal } from "./handover/node-record.ts";
import { Journal } from "../handover/journal.ts";
import { OPERATION_KEY } from "./metadata.ts";
import { MountedFileSystem } from "./mounted-filesystem.ts";

export const CALLER: Caller = { uid: 0, gid: 0, pid: 0 };
/** A channel that has nobody to tell. */
export const NO_KERNEL: Kernel = {
  shareFile: () => undefined,
  unshareFile: () => undefined,
  entryChanged: () => Promise.resolve(),
  canExpireNamesAtOnce: () => true,
  attributesChanged: () => Promise.resolve(),
};
const OWNER = { uid: 0, gid: 0, mode: 0o777 };

/** A bucket that keeps names and lengths; what an insert does first can be given. */
export class NamesBucket {
  readonly objects = new Map<string, ObjectInfo>();
  beforeInsert: (name: string, options: UploadOptions) => Promise<void> = () => Promise.resolve();
  #generation = 1n;

  get bucket(): Bucket {
    return {
      name: "test",
      insert: this.#insert.bind(this),
      stat: (name: string) => Promise.resolve(dated(this.objects.get(name))),
      list: ({ prefix, startOffset = "", endOffset = "\u{10ffff}" }: ListQuery) =>
        Promise.resolve({
          objects: [...this.objects.values()].filter(
            ({ name }) => name.startsWith(prefix) && name >= startOffset && name < endOffset,
          ),
          prefixes: [],
          nextPageToken: undefined,
          dateMs: Date.now(),
        }),
    } as unknown as Bucket;
  }

  async #insert(
    name: string,
    source: UploadSource,
    expected: bigint | "absent",
    { metadata }: ObjectProperties,
    options: UploadOptions,
  ): Promise<Dated<ObjectInfo>> {
    await this.beforeInsert(name, options);
    const live = this.objects.get(name);
    if (live !== undefined && live.metadata[OPERATION_KEY] === options.operationId) return dated(live);
    if ((live?.generation ?? "absent") !== expected)
      throw new BucketError("precondition-failed", "not as expected");
    const size = source.kind === "bytes" ? source.bytes.length : source.size;
    const info: ObjectInfo = {
      name,
      generation: ++this.#generation,
      metageneration: 1n,
      size,
      crc32c: source.kind === "bytes" ? crc32c(source.bytes) : source.crc32c,
      createdMs: 0,
      updatedMs: 0,
      contentType: undefined,
      contentEncoding: undefined,
      metadata: { ...metadata, [OPERATION_KEY]: options.operationId },
    };
    this.objects.set(name, info);
    return dated(info);
  }
}

function dated<T>(value: T): Dated<T> {
  return { value, dateMs: Date.now() };
}

export async function inProcess(t: ExecutionContext, commitDelayMs = 0) {
  const open = await openStore(await temporaryFolder(t), { commitDelayMs });
  const names = new NamesBucket();
  t.teardown(() => open.close());
  /** A filesystem over them, like those of a worker after another. */
  const serve = (
    journal: NodeJournal = new Journal(),
    lockNames: readonly RegExp[] = [],
  ): MountedFileSystem =>
    served(
      t,
      new MountedFileSystem({
        bucket: names.bucket,
        store: open.store,
        owed: new OwedWork(open.state.database),
        background: open.background,
        log: createLog("silent"),
        prefix: "",
        hierarchical: false,
        trust: { freshnessMs: 60_000, soleWriter: false },
        fileDefaults: OWNER,
        journal,
        directoryDefaults: OWNER,
        readOnly: false,
        lockNames,
        extendedAttributes: false,
        hostName: "here",
        mountId: "mount",
        monotonicMs: () => performance.now(),
        wallNs: () => BigInt(Date.now()) * 1_000_000n,
      }),
    );
  return { ...open, names, serve };
}

function served(t: ExecutionContext, fileSystem: MountedFileSystem): MountedFileSystem {
  fileSystem.attach(NO_KERNEL);
  t.teardown(() => fileSystem.shutdown());
  return fileSystem;
}

/** As a program does that stores `bytes` in a new file. */
export async function write(fileSystem: MountedFileSystem, name: string, bytes: Buffer): Promise<void> {
  const { entry, opened } = await fileSystem.create(CALLER, ROOT_INODE, name, 0o644, 0, constants.O_WRONLY);
  const { inode } = entry.attributes;
  await fileSystem.write(CALLER, inode, opened.handle, 0, bytes);
  await fileSystem.flush(CALLER, inode, opened.handle);
  await fileSystem.release(inode, opened.handle);
}
