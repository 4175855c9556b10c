// What a worker makes of the records of one that died in the middle of a request.

import { constants } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { temporaryFolder } from "../../copies/folder.fixture.ts";
import { HandoverDatabase } from "../../handover/database.ts";
import { Journal } from "../../handover/journal.ts";
import { ROOT_INODE, type Caller } from "../filesystem.ts";
import { CALLER, inProcess } from "../in-process.fixture.ts";
import { encodeNode } from "./node-record.ts";

const LOCKS = [/\.lock$/];
const EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
const request = (number: bigint): Caller => ({ ...CALLER, request: number });
const again = (number: bigint): Caller => ({ ...request(number), begun: {} });

/** One worker, and `next` its successor. */
async function workers(t: ExecutionContext) {
  const { serve, names } = await inProcess(t);
  const database = new HandoverDatabase(path.join(await temporaryFolder(t), "handover.db"));
  const journal = new Journal(database, encodeNode);
  const first = serve(journal, LOCKS);
  const next = () => {
    journal.commit();
    const successor = serve(new Journal(database, encodeNode), LOCKS);
    successor.takeOver(database);
    return successor;
  };
  return { first, next, names };
}

test("RULES 18: a lock that was made, and noted, but not answered is made by the same request when it comes again", async (t) => {
  const { first, next, names } = await workers(t);
  const { entry } = await first.create(request(7n), ROOT_INODE, "a.lock", 0o644, 0, EXCLUSIVE);
  first.forget(entry.attributes.inode, 1); // as it is just before its answer
  const successor = next();
  const { generation } = names.objects.get("a.lock") ?? {};
  const made = await successor.create(again(7n), ROOT_INODE, "a.lock", 0o644, 0, EXCLUSIVE);
  t.is(names.objects.get("a.lock")?.generation, generation, "it is the same lock");
  t.is(
    (await successor.upkeep.activity()).openFiles,
    1,
    "what the first worker had opened for it, nobody has open",
  );
  const other = successor.create(request(8n), ROOT_INODE, "a.lock", 0o644, 0, EXCLUSIVE);
  await t.throwsAsync(other, { code: "EEXIST" });
  await successor.release(made.entry.attributes.inode, made.opened.handle);
});

test("RULES 18: what was made, and seen again before its request came again, is made by that", async (t) => {
  const { first, next } = await workers(t);
  await first.create(request(1n), ROOT_INODE, "a.lock", 0o644, 0, EXCLUSIVE);
  await first.makeDirectory(request(2n), ROOT_INODE, "folder", 0o755, 0);
  await first.symlink(request(3n), ROOT_INODE, "link", "target");
  const successor = next();
  for (const name of ["a.lock", "folder", "link"]) {
    const { attributes } = await successor.lookup(CALLER, ROOT_INODE, name);
    t.true(attributes.inode > 0);
  }
  const { opened, entry } = await successor.create(again(1n), ROOT_INODE, "a.lock", 0o644, 0, EXCLUSIVE);
  t.is(
    (await successor.makeDirectory(again(2n), ROOT_INODE, "folder", 0o755, 0)).attributes.kind,
    "directory",
  );
  t.is((await successor.symlink(again(3n), ROOT_INODE, "link", "target")).attributes.kind, "symlink");
  await successor.release(entry.attributes.inode, opened.handle);
  for (const caller of [request(9n), again(9n)]) {
    await t.throwsAsync(successor.makeDirectory(caller, ROOT_INODE, "folder", 0o755, 0), { code: "EEXIST" });
    await t.throwsAsync(successor.symlink(caller, ROOT_INODE, "link", "target"), { code: "EEXIST" });
  }
  await t.throwsAsync(successor.symlink(again(2n), ROOT_INODE, "folder", "target"), { code: "EEXIST" });
  const file = successor.create(again(2n), ROOT_INODE, "folder", 0o644, 0, EXCLUSIVE);
  await t.throwsAsync(file, { code: "EEXIST" });
});
