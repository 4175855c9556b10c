import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { ROOT_INODE } from "./filesystem.ts";
import { CALLER, inProcess, NO_KERNEL, write } from "./in-process.fixture.ts";
import { SAME_CALL_MS } from "./trust.ts";

test("in a folder that was taken away elsewhere nothing is found, once the kernel knows; until then it is to look again", async (t) => {
  const { names, serve } = await inProcess(t);
  await write(serve(), "one", Buffer.from("1"));
  const [one] = names.objects.values();
  if (one === undefined) return t.fail("nothing was written");
  const put = (name: string) =>
    names.objects.set(name, { ...one, name, createdMs: Date.now(), updatedMs: Date.now() });
  put("jobs/one");

  const told: PromiseWithResolvers<void>[] = [];
  const fileSystem = serve();
  fileSystem.attach({
    ...NO_KERNEL,
    entryChanged: () => {
      const telling = Promise.withResolvers<void>();
      told.push(telling);
      return telling.promise;
    },
  });
  const look = async (name: string, parent = ROOT_INODE) =>
    (await fileSystem.lookup(CALLER, parent, name)).attributes.inode;
  const jobs = await look("jobs");
  await look("one", jobs);

  names.objects.delete("jobs/one");
  await delay(SAME_CALL_MS + 50);
  await t.throwsAsync(look("jobs"), { code: "ENOENT" });
  put("jobs/two");
  await t.throwsAsync(look("two", jobs), { code: "ESTALE" }, "the path may lead to another folder by now");
  for (const { resolve } of told) resolve();
  await delay(0);
  await t.throwsAsync(look("two", jobs), { code: "ENOENT" }, "only who has the folder open asks there now");
  const anew = await look("jobs");
  t.not(anew, jobs);
  await look("two", anew);
});
