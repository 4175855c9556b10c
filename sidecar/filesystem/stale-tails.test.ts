// That what unfinished appends left is deleted when it is old, and nothing else.

import test from "ava";
import type { Bucket, ObjectInfo } from "../bucket/bucket.ts";
import type { Context } from "./context.ts";
import { StaleTails } from "./stale-tails.ts";

const NOW_MS = Date.UTC(2026, 0, 2);
const HOUR_MS = 3_600_000;

test("tails older than a day by the bucket's clock are deleted, on all pages of the listing", async (t) => {
  const ages = [25, 2, 30, 23.9, 24];
  const tails = ages.map((hours, number) => ({
    name: `app/.sidemount.tmp/tails/${number}`,
    generation: BigInt(number),
    createdMs: NOW_MS - hours * HOUR_MS,
  }));
  const removed: string[] = [];
  const bucket: Partial<Bucket> = {
    list: ({ prefix, pageToken = "0" }) => {
      t.is(prefix, "app/.sidemount.tmp/tails/");
      const at = Number(pageToken);
      return Promise.resolve({
        objects: tails.slice(at, at + 2) as unknown as ObjectInfo[],
        prefixes: [],
        nextPageToken: at + 2 < tails.length ? String(at + 2) : undefined,
        dateMs: NOW_MS,
      });
    },
    remove: (name, generation) => {
      removed.push(name);
      t.is(tails.find((tail) => tail.name === name)?.generation, generation);
      return Promise.resolve(true);
    },
  };
  const tree = { root: {}, objectName: () => "app/" };
  const context = { bucket, tree, log: { info: () => undefined } } as unknown as Context;
  t.is(await new StaleTails(context).remove(), 3);
  t.deepEqual(
    removed,
    [0, 2, 4].map((number) => `app/.sidemount.tmp/tails/${number}`),
  );
});
