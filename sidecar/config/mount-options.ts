// Everything a mount is told, after flags, environment and defaults were read and checked. Plain data:
// the supervisor hands it to the worker as JSON.

export interface MountOptions {
  readonly bucket: string;
  /** Absolute path of the mount point. */
  readonly directory: string;
  /** Absolute path of a second mount point: a folder that web servers only read (DESIGN.md §2). */
  readonly serveDirectory?: string;
  /** "" or a prefix ending in "/": only names below it are visible. */
  readonly prefix: string;
  /** Base URL of the JSON API, for example `https://storage.googleapis.com` or `http://127.0.0.1:4443`. */
  readonly endpoint: string;
  /** Absolute path of the folder for copies and databases. */
  readonly stateDirectory: string;
  readonly cacheSizeBytes: number;
  readonly allowOther: boolean;
  readonly readOnly: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly directoryMode: number;
  /** Longest time a confirmed version is trusted; 0 asks at every open. */
  readonly freshnessMs: number;
  readonly soleWriter: boolean;
  /** While the bucket does not answer, what is known is used although its trust has ended. */
  readonly offlineReads: boolean;
  /** `off`, `auto`, or the full name of the subscription that tells of changes made elsewhere. */
  readonly notifications: string;
  /** Where `auto` makes what it needs; absent: in the project of the credentials. */
  readonly project?: string;
  /** Glob patterns of names created in the bucket at once, inside open. */
  readonly lockNames: readonly string[];
  /** Programs can read and set extended attributes; each of their writes then costs a question of the kernel. */
  readonly extendedAttributes: boolean;
  /** Close and fsync return when the local disk has the bytes; uploads follow. */
  readonly writeBack: boolean;
  readonly drainTimeoutMs: number;
  /** Longest time a data request may go without progress. */
  readonly deadlineMs: number;
  /** How to speak to the kernel: by /dev/fuse itself, through libfuse 2, or the first of these that can be had. */
  readonly channel: "auto" | "device" | "native";
  readonly passthrough: "auto" | "on" | "off";
  readonly logLevel: string;
  /** Where log lines go: 2 (stderr) when stdout belongs to a command run by `exec`. Default 1 (stdout). */
  readonly logDescriptor?: 1 | 2;
}

export interface ReadyMount {
  /** This very process serves the folder: it must not wait for anybody who is in there. */
  readonly servedHere: boolean;
  /** Replaces what serves it by the code that is on disk now; what comes of it is logged. */
  upgrade(): Promise<void>;
}

/** What the command line tells a mount while it runs, and hears from it. */
export interface MountHooks {
  /** The folder is live: programs may use it. Called once. */
  readonly onReady?: (how: ReadyMount) => void;
  /** Ends the mount in an orderly way. When present, signals are the caller's business and not the mount's. */
  readonly stop?: AbortSignal;
  /** Aborts when `stop` was not heard fast enough for somebody: what is under way is given up. */
  readonly hurry?: AbortSignal;
}
