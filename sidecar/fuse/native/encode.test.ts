import test from "ava";

import type { Attributes, InodeId } from "../../filesystem/filesystem.ts";
import { encodeListing, encodeStat, encodeStatistics } from "./encode.ts";

const attributes: Attributes = {
  inode: (2 ** 32 + 7) as InodeId,
  kind: "file",
  mode: 0o4751,
  uid: 1234,
  gid: 4321,
  size: 5 * 2 ** 32 + 9,
  blocks: 2 ** 33,
  linkCount: 0,
  accessTimeNs: 1_000_999_999n,
  modifyTimeNs: 1_700_000_000_123_456_789n,
  changeTimeNs: -1n,
  deviceNumber: 3,
};

test("attributes are 32-bit numbers in the order of populate_stat, wide ones with the lower half first", (t) => {
  const wideMs = 1_700_000_000_123;
  t.deepEqual(
    [...encodeStat(attributes)],
    [
      35305,
      1234,
      4321,
      9,
      5,
      0,
      0,
      7,
      3,
      131072,
      0,
      2,
      1e3,
      0,
      wideMs % 2 ** 32,
      Math.floor(wideMs / 2 ** 32),
      0,
      0,
    ],
  );
});

test("a listing tells names with their number and kind", (t) => {
  const [names, stats] = encodeListing([
    { name: ".", inode: 1 as InodeId, kind: "directory" },
    { name: "a", inode: 9 as InodeId, kind: "symlink" },
  ]);
  t.deepEqual(names, [".", "a"]);
  t.deepEqual(
    stats.map((ints) => [ints.length, ints[0], ints[7]]),
    [
      [18, 0o040000, 1],
      [18, 0o120000, 9],
    ],
  );
});

test("counts that do not fit 32 bits are told in larger units", (t) => {
  const counts = { blockSize: 4096, blocks: 2 ** 38, blocksFree: 2 ** 37, files: 2 ** 40, filesFree: 5 };
  const [blockSize, unit, blocks, free] = encodeStatistics({ ...counts, nameLengthMax: 255 });
  t.is(blockSize, 4096);
  t.is(unit! * blocks!, 4096 * 2 ** 38);
  t.is(unit! * free!, 4096 * 2 ** 37);
  t.is(encodeStatistics({ ...counts, nameLengthMax: 255 })[10], 255);
});
