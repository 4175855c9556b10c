// Named scenarios, each the same work done through the mount and on the disk below it.

import type { Work } from "./work.ts";

export interface Scenario {
  readonly title: string;
  /** What one operation is, and so what is counted: `MB` for throughput, anything else for time per operation. */
  readonly unit: "MB" | "operation";
  /** The least share of the disk's speed the mount must reach; without it the figure is for information. */
  readonly goal?: number;
  /** Puts what is needed into a folder, which is empty: once on the mount, once on the disk. */
  readonly prepare: Work;
  /** What is measured, again and again, in the same folder. */
  readonly work: Work;
}
