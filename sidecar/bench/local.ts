// `local`: what a program loses when its files, complete on this machine, are on the mount instead of on the disk.

import { create } from "./local/create.ts";
import { largeWrites } from "./local/large-writes.ts";
import { sequentialRead } from "./local/sequential-read.ts";
import { smallFile } from "./local/small-file.ts";
import { smallWrites } from "./local/small-writes.ts";
import { stat } from "./local/stat.ts";
import type { Benchmark } from "./scenario.ts";

export const local: Benchmark = {
  name: "local",
  title: "Complete files through the mount, against the same disk",
  explanation: `The same program does the same work on the mount and on the disk that holds its copies, in turn, in processes of its
own. Files are complete and in the page cache on both sides, and unchanged for an hour as the bucket sees it. Reads and
writes are timed without open and close, unless they are named.`,
  scenarios: [sequentialRead, smallWrites, largeWrites, create, smallFile, stat],
};
