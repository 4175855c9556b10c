// Another writer: the bucket's own API, on names that nobody here has open.

import fc from "fast-check";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { sidemount } from "../../helpers/command.ts";
import { operation } from "../operation.ts";
import { drawnPath, freshPath } from "../paths.ts";
import type { Run } from "../run.ts";
import { index } from "./draw.ts";

/** What one program call found out may serve that call (trust.ts, SAME_CALL_MS). */
const SAME_CALL_MS = 100;
const MARGIN_MS = 50;

/** Waits until the mount must show what has just changed: a tenth of the age of anything that may be trusted. */
async function untilVisible(run: Run): Promise<void> {
  const trusted = run.world.settings.trust === "60s" ? (performance.now() - run.beganMs) / 10 : 0;
  const gathered = run.attributesUntilMs - performance.now();
  run.folderTimesLost = true;
  await delay(Math.max(trusted, SAME_CALL_MS, gathered) + MARGIN_MS);
}

/** An unlink of an open file may be carried out that late on the native channel (SEMANTICS, Open files that lose their name). */
const LATE_UNLINK_MS = 150;

/** Waits until what was answered is done, where that is not the same. */
async function untilDone(run: Run): Promise<void> {
  // What is owed may look as if it were there: where it has the bytes that were there before.
  if (run.world.settings.writeBack === true)
    await sidemount("pending", run.world.mount.directory, "--wait", "--timeout", "20s");
  await run.lateStoresArrived();
  if (run.world.settings.writeBack === true) await run.compareBucket();
  if (run.world.settings.channel === "native") await delay(LATE_UNLINK_MS);
}

/** Whether somebody else can make or replace the file: where a folder or a link is, or above it a file, it would be another. */
function mayPut(run: Run, name: string): boolean {
  const parts = name.split("/");
  for (let count = 1; count < parts.length; count += 1) {
    const above = lstatSync(path.join(run.plain, ...parts.slice(0, count)), { throwIfNoEntry: false });
    if (above !== undefined && !above.isDirectory()) return false;
  }
  const there = lstatSync(path.join(run.plain, name), { throwIfNoEntry: false, bigint: true });
  if (there === undefined) return true;
  return !there.isDirectory() && !run.isOpen(there.ino);
}

const put = operation(
  "put elsewhere",
  4,
  fc.record({ path: fc.oneof(drawnPath, freshPath), tag: index, length: fc.nat({ max: 100 }) }),
  async (run, { path: drawn, tag, length }) => {
    if (run.world.settings.trust === "sole-writer") return;
    const name = run.path(drawn);
    if (!mayPut(run, name)) return;
    const bytes = Buffer.alloc(length, (tag % 251) + 1);
    await untilDone(run);
    run.note(`elsewhere: put ${JSON.stringify(name)}, ${length} bytes`);
    await run.world.server.put(`${run.top}/${name}`, bytes);
    makeFoldersOf(run, name);
    // A replacement from elsewhere is another file, as with a rename over it.
    const aside = `${run.plain}.aside`;
    writeFileSync(aside, bytes);
    chmodSync(aside, 0o666);
    renameSync(aside, path.join(run.plain, name));
    await untilVisible(run);
  },
);

function makeFoldersOf(run: Run, name: string): void {
  const parts = name.split("/").slice(0, -1);
  for (let count = 1; count <= parts.length; count += 1) {
    const folder = path.join(run.plain, ...parts.slice(0, count));
    if (lstatSync(folder, { throwIfNoEntry: false }) !== undefined) continue;
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    if (!run.world.hierarchical) run.implied.add(statSync(folder, { bigint: true }).ino);
  }
}

const remove = operation("delete elsewhere", 3, index, async (run, number) => {
  if (run.world.settings.trust === "sole-writer") return;
  const files = run.everything().filter(({ status }) => !status.isDirectory() && !run.isOpen(status.ino));
  const found = files[number % files.length];
  if (found === undefined) return;
  // What was set of a folder that has no object makes it one, a second later.
  if (run.implied.size > 0) await delay(Math.max(0, run.attributesUntilMs - performance.now()));
  await untilDone(run);
  run.note(`elsewhere: delete ${JSON.stringify(found.path)}`);
  await run.world.server.remove(`${run.top}/${found.path}`);
  unlinkSync(path.join(run.plain, found.path));
  const vanished = await dropVanished(run, path.dirname(found.path));
  await untilVisible(run);
  // Until it is looked for, what is made in it through an open folder makes it again (SEMANTICS, Names).
  if (vanished === undefined) return;
  await run.both("A", { call: "status", path: vanished, follow: false });
  if (run.world.settings.channel === "native") await closeVanished(run);
});

/** There, an open folder that somebody else has removed stands for whatever has its path (CHANNELS, Open files that lose their name). */
async function closeVanished(run: Run): Promise<void> {
  for (const handle of run.handles.filter(({ folder, inode }) => folder && !run.hasName(inode))) {
    run.dropHandle(handle);
    await run.both(handle.who, { call: "close", slot: handle.slot });
  }
}

/** A folder without an object of its own is gone with the last thing in it. Answers the highest of those that are. */
async function dropVanished(run: Run, folder: string): Promise<string | undefined> {
  if (run.world.hierarchical) return undefined;
  let highest: string | undefined;
  for (let each = folder; each !== "."; each = path.dirname(each)) {
    if ((await run.world.server.names(`${run.top}/${each}/`)).length > 0) break;
    const { ino } = statSync(path.join(run.plain, each), { bigint: true });
    if (run.everything().some(({ path: below }) => below.startsWith(`${each}/`))) break;
    run.implied.delete(ino);
    rmdirSync(path.join(run.plain, each));
    highest = each;
  }
  return highest;
}

export const ELSEWHERE = [put, remove];
