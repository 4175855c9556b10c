// Three machines, each mounted in another way, work on one bucket: what their programs were told agrees with each other,
// with what every machine shows in the end, and with the bucket.
//
// SIDEMOUNT_TEST_SECONDS=600 npx ava --config sidecar/test/mount.config.js sidecar/test/machines/history.test.ts
// goes on for ten minutes on each kind of bucket. The seed is in the report; SIDEMOUNT_TEST_SEED=N draws the same
// operations again, which happen at other moments nevertheless.

import test from "ava";
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { mounted, SETTINGS } from "../helpers/mounted.ts";
import { contradictions, type Event, type Outcome } from "./history.ts";
import { acted, everythingIn, everythingInBucket, linesOf, versionOf, type Everything } from "./machines.ts";

const SECONDS = Number(process.env["SIDEMOUNT_TEST_SECONDS"] ?? 15);
const SEED = Number(process.env["SIDEMOUNT_TEST_SEED"] ?? Math.floor(Math.random() * 1e9));
/** In the order of SETTINGS. */
const MACHINES = "abc";
/** Until attributes that wait to be sent, and renames that go on, are in the bucket. */
const QUIET_MS = 3000;

for (const hierarchical of [false, true]) {
  test.serial(
    `${hierarchical ? "hierarchical" : "flat"}: what three machines do to one bucket at once can be put in an order that all have seen`,
    async (t) => {
      t.timeout((3 * SECONDS + 120) * 1000);
      t.log(`seed ${SEED}, ${SECONDS} s`);
      const server = await BucketServer.start(t, { hierarchical });
      const mounts = await Promise.all(
        SETTINGS.map(({ options }) => mounted(t, server, [...options, "--freshness", "0"])),
      );
      await acted(t, "prepare.py", [mounts[0]?.directory ?? ""], 30);
      const events = await Promise.all(
        mounts.map((mount, index) =>
          acted<Event>(
            t,
            "actor.py",
            [mount.directory, MACHINES.charAt(index), String(SEED), String(SECONDS)],
            SECONDS,
          ),
        ),
      );
      const all = events.flat().sort((one, other) => one.began - other.began);
      t.log(summaryOf(all));
      await delay(QUIET_MS);
      const inBucket = await everythingInBucket(server, hierarchical);
      const native = MACHINES.charAt(SETTINGS.findIndex(({ name }) => name === "native"));
      const found = contradictions(all, outcomeOf(inBucket), native);
      for (const words of found.slice(0, 40)) t.log(words);
      t.deepEqual(found, []);
      const shown = await Promise.all(mounts.map(({ directory }) => everythingIn(directory)));
      for (const [index, seen] of shown.entries())
        t.deepEqual(
          digests(seen),
          digests(inBucket),
          `what ${SETTINGS[index]?.name} shows is what the bucket has`,
        );
    },
  );
}

function outcomeOf(found: Everything): Outcome {
  const versions = new Map<string, string>();
  const logs = new Map<string, readonly string[]>();
  for (const [name, bytes] of found) {
    if (bytes === undefined) continue;
    if (name.startsWith("logs/")) logs.set(name, linesOf(bytes));
    else versions.set(name, versionOf(bytes));
  }
  return { versions, logs };
}

function digests(found: Everything): Record<string, string> {
  const names = [...found.keys()].sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash("sha256")
        .update(found.get(name) ?? "")
        .digest("hex"),
    ]),
  );
}

/** How many operations of each kind there were, and how they failed. */
function summaryOf(events: readonly Event[]): string {
  const counts = new Map<string, number>();
  for (const { kind, failed } of events) {
    const key = failed === null ? kind : `${kind} ${failed}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([key, count]) => `${key} ${count}`)
    .join(", ");
}
