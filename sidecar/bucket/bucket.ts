// What the rest of sidemount needs from object storage, in our own words.
//
// Every write names the generation it expects to replace; every ranged read is pinned to a generation.
// All calls have a deadline, are repeated only where repeating is safe, and fail with a BucketError.

/** The version number of an object's bytes. Strictly increasing for one name (GCS: int64, microseconds). */
export type Generation = bigint;

/** What a write expects to find under the name it writes: exactly this generation, or nothing at all. */
export type Expected = Generation | "absent";

/** One object version with its attributes, as the bucket describes it. */
export interface ObjectInfo {
  readonly name: string;
  readonly generation: Generation;
  readonly metageneration: bigint;
  /** Stored bytes (for a gzip-encoded object: the compressed size; that is what we read). */
  readonly size: number;
  /** CRC32C of the stored bytes as an unsigned 32-bit number. */
  readonly crc32c: number;
  /** When this generation was created, in milliseconds since the epoch by the bucket's clock. */
  readonly createdMs: number;
  /** When the object or its metadata last changed, by the bucket's clock. */
  readonly updatedMs: number;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** As the service calls it (`STANDARD`); undefined where it was not asked for. */
  readonly storageClass?: string | undefined;
  /** Custom metadata. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** An answer together with the bucket's clock when it was given (the Date header): ages are measured with it. */
export interface Dated<T> {
  readonly value: T;
  readonly dateMs: number;
}

export interface ListQuery {
  readonly prefix: string;
  /** Collapse names that contain this after the prefix into `prefixes`. Placeholders `dir/` come as items too. */
  readonly delimiter?: "/";
  /** Folder resources among the prefixes, empty ones too. Only with the delimiter; a flat bucket has none. */
  readonly folders?: boolean;
  /** First name to list (inclusive). */
  readonly startOffset?: string;
  /** First name not to list (exclusive). */
  readonly endOffset?: string;
  /** Items plus prefixes wanted in this page, 1–1000. */
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** One page of a listing; complete only when `nextPageToken` is undefined. May be empty and still have a token. */
export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  readonly prefixes: readonly string[];
  readonly nextPageToken: string | undefined;
  readonly dateMs: number;
}

/** Attributes given to an object when it is written. */
export interface ObjectProperties {
  readonly contentType?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** Bytes to upload: either in memory, or `size` bytes of an open local file from `start` on (0 if not given). */
export type UploadSource =
  | { readonly kind: "bytes"; readonly bytes: Buffer; readonly crc32c: number }
  | {
      readonly kind: "file";
      readonly descriptor: number;
      readonly start?: number;
      readonly size: number;
      readonly crc32c: number;
    };

/** How a resumable upload can be found again after a crash. Persisted by whoever starts the upload. */
export interface UploadSession {
  readonly url: string;
}

export interface UploadOptions {
  /** A session of an earlier run for this very write (same bytes, same operation id): gone on with if it still lives. */
  readonly session?: UploadSession | undefined;
  /** Called once the session exists, before any byte is sent; awaited. Only for uploads above the single-request size. */
  readonly onSession?: (session: UploadSession) => Promise<void> | void;
  /** Called with the number of bytes the bucket has confirmed so far: after a break, and at the end. */
  readonly onProgress?: (bytes: number) => void;
  /**
   * Identifies this very write (RULES 4): stored as metadata `sidemount-op`. If the insert answers 412 and the
   * live object carries this id, an answer was lost and the write is reported as the success it was.
   */
  readonly operationId: string;
  readonly signal?: AbortSignal;
}

export interface ReadOptions {
  /** First byte wanted and one past the last. Omit for the whole object (then the CRC32C is verified). */
  readonly range?: { readonly start: number; readonly end: number };
  readonly signal?: AbortSignal;
}

/** A folder of a hierarchical bucket. It has neither bytes nor metadata of its own. */
export interface FolderInfo {
  /** Ends in "/". */
  readonly name: string;
  readonly metageneration: bigint;
  /** A folder keeps it wherever it is renamed to. By the bucket's clock, as all times. */
  readonly createdMs: number;
  readonly updatedMs: number;
  /** The operation that is renaming it just now. */
  readonly renaming: string | undefined;
}

/** Folders of a hierarchical bucket; names end in "/". On a flat bucket every call fails. */
export interface BucketFolders {
  stat(name: string, signal?: AbortSignal): Promise<Dated<FolderInfo | undefined>>;

  /**
   * Makes a folder, exclusively. `already-exists`, or `not-found` when the folder above is missing and `above` does
   * not ask for that too. `unavailable` with `uncertain` when an answer was lost and nobody can tell who made it.
   */
  make(name: string, options?: { above?: boolean }): Promise<Dated<FolderInfo>>;

  /** Removes an empty folder. True if it was there, false if there is none any more. `not-empty` if it is not. */
  remove(name: string): Promise<boolean>;

  /**
   * Renames a folder with everything in it, atomically. `source` is the folder as it was seen: its creation time tells
   * what became of a rename whose answer was lost. `not-found`; `already-exists` when there is a folder of the new
   * name, even an empty one. `uncertain`: an earlier try may have been carried out.
   */
  rename(source: FolderInfo, destination: string, options?: { uncertain?: boolean }): Promise<FolderRename>;

  /**
   * Waits for a rename that has begun, for so long at most. True when it is done; rejects with why it failed, of which
   * nothing is left, or when the question itself was not answered. `not-found`: nobody knows of it.
   */
  renamed(operation: string, patienceMs: number): Promise<boolean>;
}

/** A rename that has begun. */
export interface FolderRename {
  /** By which it can be asked about; undefined when it is done already. */
  readonly operation: string | undefined;
}

export interface BucketLayout {
  readonly hierarchicalNamespace: boolean;
  readonly location: string;
  /** When the bucket was made, by its own clock; absent where these credentials may not ask. */
  readonly createdMs?: number;
}

/** One bucket, through one set of credentials. */
export interface Bucket {
  readonly name: string;

  /**
   * Proves that the bucket exists and that these credentials may list it. Throws `bucket-not-found`, `forbidden`,
   * `unauthenticated` or `unavailable`, with a message a person can act on.
   */
  check(): Promise<BucketLayout>;

  /** The live version of `name`, or undefined if there is none. */
  stat(name: string, signal?: AbortSignal): Promise<Dated<ObjectInfo | undefined>>;

  /** One page of names, in UTF-8 byte order. */
  list(query: ListQuery, signal?: AbortSignal): Promise<ListPage>;

  /**
   * The stored bytes of exactly this version, in chunks as they arrive; never a mix of versions. A connection
   * lost midway is resumed from the last byte received. Ends short only by throwing. `not-found` when the
   * version is gone. `checksum` comes after the last byte of a whole object: discard what was received.
   */
  read(
    object: { name: string; generation: Generation; size: number; crc32c: number },
    options?: ReadOptions,
  ): AsyncIterable<Buffer>;

  /**
   * Writes a whole object. The bytes are refused by the service if they do not match the given CRC32C
   * (error `checksum`). `precondition-failed` when `expected` does not hold and the live object is not ours.
   */
  insert(
    name: string,
    source: UploadSource,
    expected: Expected,
    properties: ObjectProperties,
    options: UploadOptions,
  ): Promise<Dated<ObjectInfo>>;

  /** Changes metadata keys (null deletes a key). Guarded by generation and metageneration. */
  patch(
    name: string,
    version: { generation: Generation; metageneration: bigint },
    changes: { metadata?: Readonly<Record<string, string | null>>; contentType?: string },
  ): Promise<Dated<ObjectInfo>>;

  /** Deletes `name` if its live version is `generation`. True if it was there, false if nothing is there any more. */
  remove(name: string, generation: Generation): Promise<boolean>;

  /**
   * Renames atomically: `moveTo`, or copy + delete where `moveTo` is refused. `not-found` when the source
   * version is gone, `precondition-failed` when the destination is not as expected. `unavailable` with `uncertain`
   * when an answer was lost and nobody can tell whose rename it was (RULES 5).
   */
  move(
    source: { name: string; generation: Generation },
    destination: string,
    expected: Expected,
  ): Promise<Dated<ObjectInfo>>;

  /** Server-side copy of one version. */
  copy(
    source: { name: string; generation: Generation },
    destination: string,
    expected: Expected,
  ): Promise<Dated<ObjectInfo>>;

  /** Concatenates 1–32 sources into `destination`, which may be one of them. */
  compose(
    destination: string,
    sources: readonly { name: string; generation: Generation }[],
    expected: Expected,
    properties: ObjectProperties,
    options: { operationId: string },
  ): Promise<Dated<ObjectInfo>>;

  readonly folders: BucketFolders;

  /** Closes idle connections. */
  close(): Promise<void>;
}
