// The bucket, as the rest of sidemount sees it: each operation is in the file of its name.

import { performance } from "node:perf_hooks";

import type { Log } from "../telemetry/log.ts";
import { Availability } from "./availability.ts";
import { credentialsFor, type Credentials } from "./auth.ts";
import type { Bucket } from "./bucket.ts";
import type { Clock } from "./budget.ts";
import { check } from "./check.ts";
import { compose } from "./compose.ts";
import { copy } from "./copy.ts";
import { makeFolder, removeFolder, statFolder } from "./folders.ts";
import { insert } from "./insert.ts";
import { list } from "./list.ts";
import { Measure } from "./measure.ts";
import { Mover } from "./move.ts";
import { patch } from "./patch.ts";
import { probe } from "./probe.ts";
import { read } from "./read.ts";
import { remove } from "./remove.ts";
import { awaitRename, renameFolder } from "./rename-folder.ts";
import { Requests } from "./requests.ts";
import { stat } from "./stat.ts";
import { Transport } from "./transport.ts";

export interface BucketOptions {
  readonly bucket: string;
  /** The server's address without a path: see endpointFrom. */
  readonly endpoint: string;
  /** How long reads and inserts may go without progress. */
  readonly deadlineMs: number;
  /** How long everything else may take in all. */
  readonly metadataDeadlineMs: number;
  readonly log: Log;
  readonly userAgent?: string;
  /** Nobody else writes to this bucket: a move whose answer was lost may be taken for done (RULES 5). */
  readonly soleWriter?: boolean;
  /** Instead of the application default credentials. */
  readonly credentials?: Credentials;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** A bucket that counts what it asks for. */
export interface MeasuredBucket extends Bucket {
  readonly measure: Measure;
  readonly availability: Availability;
}

/** Connects to nothing yet: the first request does. */
export function openBucket(options: BucketOptions): MeasuredBucket {
  const { bucket, endpoint, log } = options;
  const measure = new Measure();
  const credentials = options.credentials ?? credentialsFor(endpoint);
  const transport = new Transport(endpoint, credentials, options.userAgent ?? "sidemount", measure);
  const clock = options.clock ?? (() => performance.now());
  const availability: Availability = new Availability((signal) => probe(requests, signal), clock, log);
  const requests: Requests = new Requests(bucket, transport, measure, options, {
    clock,
    random: options.random ?? Math.random,
    log,
    availability,
  });
  const soleWriter = options.soleWriter ?? false;
  const mover = new Mover(requests, soleWriter);
  return {
    name: bucket,
    measure,
    availability,
    check: async () => {
      await credentials.prepare?.();
      return check(requests, endpoint);
    },
    stat: (name, signal) => stat(requests, name, signal),
    list: (query, signal) => list(requests, query, signal),
    read: (object, readOptions) => read(requests, object, readOptions),
    insert: (name, source, expected, properties, uploadOptions) =>
      insert(requests, name, source, expected, properties, uploadOptions),
    patch: (name, version, changes) => patch(requests, name, version, changes),
    remove: (name, generation) => remove(requests, name, generation),
    move: (source, destination, expected) => mover.move(source, destination, expected),
    copy: (source, destination, expected) => copy(requests, source, destination, expected),
    compose: (destination, sources, expected, properties, composeOptions) =>
      compose(requests, destination, sources, expected, properties, composeOptions),
    folders: {
      stat: (name, signal) => statFolder(requests, name, signal),
      make: (name, makeOptions = {}) => makeFolder(requests, name, makeOptions.above ?? false, soleWriter),
      remove: (name) => removeFolder(requests, name),
      rename: (source, destination, renameOptions = {}) =>
        renameFolder(requests, source, destination, renameOptions.uncertain ?? false),
      renamed: (operation, patienceMs) => awaitRename(requests, operation, patienceMs),
    },
    close: () => {
      availability.close();
      return transport.close();
    },
  };
}
