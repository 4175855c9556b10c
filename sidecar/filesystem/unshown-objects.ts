// Objects that no path of the mount leads to: their names are no names of files (`a//b`, `..`, parts above 255 bytes),
// or a folder has the name. They are never touched and in nobody's way, and whoever misses them finds them in the log.
//
// Of each folder the newest such object that was reported is remembered, so that only news makes another line.

import { LRUCache } from "lru-cache";
import type { ObjectInfo } from "../bucket/bucket.ts";
import type { Log } from "../telemetry/log.ts";

/** Folders remembered; of those beyond, the one that was not listed for longest may be reported again. */
const FOLDERS_REMEMBERED = 1000;
const EXAMPLES = 5;

interface Found {
  count: number;
  readonly examples: string[];
  /** Generations grow with time, throughout a bucket. */
  newest: bigint;
}

/** What has been reported by this mount. */
export class UnshownReports {
  readonly #log: Log;
  readonly #reported = new LRUCache<string, bigint>({ max: FOLDERS_REMEMBERED });

  constructor(log: Log) {
    this.#log = log;
  }

  report(folder: string, { count, examples, newest }: Found): void {
    const before = this.#reported.get(folder);
    if (before !== undefined && newest <= before) return;
    this.#reported.set(folder, newest);
    this.#log.warn(
      { folder: folder === "" ? "/" : folder, count, examples },
      "objects cannot be shown as files",
    );
  }
}

/** What one question to the bucket has shown of them. */
export class UnshownObjects {
  readonly #reports: UnshownReports;
  readonly #found = new Map<string, Found>();

  constructor(reports: UnshownReports) {
    this.#reports = reports;
  }

  /** `folder`: the last part of the name that is shown, as an object name. A prefix of several has no generation. */
  note(folder: string, { name, generation = 0n }: Partial<ObjectInfo> & { name: string }): void {
    let found = this.#found.get(folder);
    if (found === undefined) this.#found.set(folder, (found = { count: 0, examples: [], newest: 0n }));
    found.count += 1;
    if (found.examples.length < EXAMPLES) found.examples.push(name);
    if (generation > found.newest) found.newest = generation;
  }

  /** Logs what was not reported before. */
  report(): void {
    for (const [folder, found] of this.#found) this.#reports.report(folder, found);
    this.#found.clear();
  }
}
