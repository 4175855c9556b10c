// What can be asked of a mount, and how the answers look. Times are milliseconds since the epoch; 64-bit numbers are text.

/** "status": how it is doing. */
export interface StatusAnswer {
  readonly bucket: string;
  readonly endpoint: string;
  readonly prefix: string;
  readonly directory: string;
  readonly serveDirectory: string | undefined;
  readonly stateDirectory: string;
  readonly channel: "device" | "native";
  readonly passthrough: boolean | undefined;
  readonly readOnly: boolean;
  /** The process that serves it. */
  readonly pid: number;
  readonly startedMs: number;
  readonly openFiles: number;
  readonly owed: OwedAnswer;
  readonly kept: {
    readonly failed: number;
    readonly unfinished: number;
    readonly superseded: number;
    readonly bytes: number;
  };
  readonly cache: { readonly usedBytes: number; readonly limitBytes: number };
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number; readonly reserveBytes: number };
  /** Since when the bucket has not answered; undefined while it does. */
  readonly away: { readonly sinceMs: number; readonly kind: string; readonly message: string } | undefined;
  readonly offlineReads: boolean;
  readonly lastError: { readonly atMs: number; readonly kind: string; readonly message: string } | undefined;
}

/** "owed": what is not in the bucket yet and will be, by itself. */
export interface OwedAnswer {
  readonly uploads: number;
  readonly patches: number;
  readonly removals: number;
  readonly renames: number;
  readonly exchanges: number;
}

/** Bytes kept for a person. */
export interface PendingEntry {
  readonly id: string;
  /** Name in the bucket. */
  readonly object: string;
  /** Name below the mount. */
  readonly name: string;
  readonly bytes: number;
  readonly sinceMs: number | undefined;
  /** What is owed is uploaded by itself. */
  readonly state: "failed" | "unfinished" | "owed";
  readonly why: string;
  readonly supersededMs: number | undefined;
  /** What they were to replace: a generation, "absent", or not known. */
  readonly base: string | undefined;
  /** Ranges that are not here, first and one past the last; undefined where that is not known. */
  readonly missing: readonly (readonly [number, number])[] | undefined;
}

/** "pending" {after}: a page of the list, oldest first. */
export interface PendingAnswer {
  readonly entries: readonly PendingEntry[];
  /** There are more: ask again after this id. */
  readonly next: string | undefined;
}

/** "retry" {id, replace} */
export interface RetryAnswer {
  readonly outcome: "uploaded" | "was there" | "refused";
  readonly generation: string | undefined;
  readonly reason: string | undefined;
}

/** "prepare" {id}: a file with all its bytes, there until the client has gone. */
export interface PreparedAnswer {
  readonly path: string;
  readonly modifiedMs: number;
}

/** "upgrade": begun; that it is done shows in who serves the mount. */
export type UpgradeAnswer = Record<string, never>;
