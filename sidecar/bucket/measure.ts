// What was asked of the service, counted: requests by operation and by class of price, bytes both ways.

import type { BucketError, BucketErrorKind } from "./errors.ts";

/** Every kind of request we send. */
export type Operation =
  | "stat"
  | "list"
  | "layout"
  | "read"
  | "insert"
  | "upload"
  | "patch"
  | "remove"
  | "move"
  | "copy"
  | "compose"
  | "folderStat"
  | "folderMake"
  | "folderRemove"
  | "folderRename"
  | "operation"
  | "notificationList"
  | "notificationMake"
  | "notificationRemove"
  | "pubsub"
  | "pull";

/** Google's price classes: A costs about twelve times B (RULES 35). */
export type RequestClass = "A" | "B" | "free";

const classOf = {
  stat: "B",
  list: "A",
  layout: "B",
  read: "B",
  insert: "A", // a whole object in one request, or the start of a session
  upload: "free", // bytes of a session and questions about it: paid for with its start
  patch: "A",
  remove: "free",
  move: "A",
  copy: "A",
  compose: "A",
  folderStat: "B",
  folderMake: "A",
  folderRemove: "free",
  folderRename: "A",
  operation: "B",
  notificationList: "B",
  notificationMake: "A",
  notificationRemove: "free",
  pubsub: "free", // another service, which charges for bytes
  pull: "free",
} as const satisfies Record<Operation, RequestClass>;

/** A try that failed, of whatever request. */
export interface FailedTry {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly kind: BucketErrorKind;
  readonly message: string;
}

/** What says something about the bucket and not only about one object in it. */
const TROUBLE: readonly BucketErrorKind[] = [
  "bucket-not-found",
  "forbidden",
  "unauthenticated",
  "throttled",
  "unavailable",
  "deadline",
];

/** Counters that only grow; read them whenever you like. */
export class Measure {
  /** Requests sent, repetitions included. */
  readonly requests: Record<Operation, number> = {
    stat: 0,
    list: 0,
    layout: 0,
    read: 0,
    insert: 0,
    upload: 0,
    patch: 0,
    remove: 0,
    move: 0,
    copy: 0,
    compose: 0,
    folderStat: 0,
    folderMake: 0,
    folderRemove: 0,
    folderRename: 0,
    operation: 0,
    notificationList: 0,
    notificationMake: 0,
    notificationRemove: 0,
    pubsub: 0,
    pull: 0,
  };
  readonly byClass: Record<RequestClass, number> = { A: 0, B: 0, free: 0 };
  /** Tries that failed and were made again. */
  repeated = 0;
  /** Object bytes and request bodies handed to connections. */
  bytesSent = 0;
  /** Bodies received. */
  bytesReceived = 0;

  /** The last try that failed because of the bucket, the way there, or permissions. */
  lastTrouble: FailedTry | undefined;

  failed({ kind, message }: BucketError): void {
    if (TROUBLE.includes(kind)) this.lastTrouble = { atMs: Date.now(), kind, message };
  }

  count(operation: Operation): void {
    this.requests[operation] += 1;
    this.byClass[classOf[operation]] += 1;
  }
}
