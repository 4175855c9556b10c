import { setTimeout as delay } from "node:timers/promises";

import test from "ava";

import type { InodeId } from "../../filesystem/filesystem.ts";
import { createLog } from "../../telemetry/log.ts";
import { NOTIFY } from "./protocol.ts";
import { Notifier } from "./notify.ts";

const FOLDER = 1 as InodeId;

/** A notifier whose notifications stay in the kernel until `release`, but for those that need no lock. */
function stuckKernel({ epoch = true, busy = (): boolean => false } = {}) {
  const sent: number[] = [];
  const stuck: (() => void)[] = [];
  const notifier = new Notifier(
    {
      write: (bytes, done) => {
        sent.push(bytes.readInt32LE(4));
        setImmediate(done, null);
      },
      writeName: (bytes, done) => {
        sent.push(bytes.readInt32LE(4));
        stuck.push(() => done(null));
      },
    },
    busy,
    createLog("silent"),
  );
  notifier.start({ expireOnly: true, epoch });
  return { notifier, sent, release: () => stuck.splice(0).forEach((done) => done()) };
}

const count = (sent: number[], code: number) => sent.filter((each) => each === code).length;

test("RULES 27: at most four are in flight, and one expiry of all names stands for all that wait", async (t) => {
  const { notifier, sent, release } = stuckKernel();
  const told = Array.from({ length: 100 }, (_, index) => notifier.entryChanged(FOLDER, `name-${index}`));
  await Promise.all(told);
  t.is(count(sent, NOTIFY.INVAL_ENTRY), 4);
  t.is(count(sent, NOTIFY.INC_EPOCH), 1);
  await delay(100);
  t.is(count(sent, NOTIFY.INC_EPOCH), 1);
  release();
});

test("without INC_EPOCH a notification is done only when the kernel says so", async (t) => {
  const { notifier, sent, release } = stuckKernel({ epoch: false });
  const told = notifier.entryChanged(FOLDER, "name").then(() => "told");
  t.is(await Promise.race([told, delay(120, "waiting")]), "waiting");
  release();
  t.is(await told, "told");
  t.is(count(sent, NOTIFY.INC_EPOCH), 0);
});

test("attributes are told at once, also while as many names as may be are stuck", async (t) => {
  const { notifier, sent, release } = stuckKernel({ epoch: false });
  const names = Array.from({ length: 10 }, (_, index) => notifier.entryChanged(FOLDER, `name-${index}`));
  await Promise.all(Array.from({ length: 10 }, (_, id) => notifier.attributesChanged(id as InodeId)));
  t.is(count(sent, NOTIFY.INVAL_INODE), 10);
  t.is(count(sent, NOTIFY.INVAL_ENTRY), 4);
  while (count(sent, NOTIFY.INVAL_ENTRY) < 10) release();
  release();
  await Promise.all(names);
});

test("a name that changes again before it was told is told once; after that, again", async (t) => {
  const { notifier, sent, release } = stuckKernel({ epoch: false });
  const blockers = ["a", "b", "c", "d"].map((name) => notifier.entryChanged(FOLDER, name));
  const first = notifier.entryChanged(FOLDER, "name");
  t.is(notifier.entryChanged(FOLDER, "name"), first);
  release();
  await Promise.all(blockers);
  t.not(notifier.entryChanged(FOLDER, "name"), first);
  release();
  await first;
  release();
  t.is(count(sent, NOTIFY.INVAL_ENTRY), 6);
});

test("nothing is sent into a folder where a request is served, so that later ones do not queue behind it", async (t) => {
  let busy = true;
  const { notifier, sent, release } = stuckKernel({ busy: () => busy });
  const held = notifier.entryChanged(FOLDER, "name");
  t.deepEqual(sent, []);
  busy = false; // before it gets impatient
  while (sent.length === 0) await delay(1);
  t.is(sent[0], NOTIFY.INVAL_ENTRY);
  release();
  await held;

  busy = true;
  sent.length = 0;
  await notifier.entryChanged(FOLDER, "name");
  t.deepEqual(sent, [NOTIFY.INC_EPOCH]);
});

test("after stop none is sent, and nobody waits for those that were not", async (t) => {
  const { notifier, sent, release } = stuckKernel({ epoch: false });
  const told = Array.from({ length: 10 }, (_, index) => notifier.entryChanged(FOLDER, `name-${index}`));
  const stopped = notifier.stop();
  release();
  await Promise.all([
    stopped,
    ...told,
    notifier.entryChanged(FOLDER, "late"),
    notifier.attributesChanged(FOLDER),
  ]);
  t.is(sent.length, 4);
});
