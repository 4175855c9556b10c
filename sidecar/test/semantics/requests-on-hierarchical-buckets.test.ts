// What each operation costs on a hierarchical bucket, in requests (RULES 34). Exact.

import test from "ava";
import { SETTINGS } from "../helpers/mounted.ts";
import { costing, GATHERED_MS, many } from "./common/costs.ts";
import { fileCosts } from "./common/file-costs.ts";

/** Folders that have what every folder has. */
const oldObjects = costing(["--dir-mode", "755"], { hierarchical: true });
fileCosts(oldObjects);

/** Without the questions mv asks on its own account. */
function rename(from: string, to: string): string {
  return `/usr/bin/python3 -c "import os; os.rename('${from}', '${to}')"`;
}

for (const { name } of SETTINGS) {
  test.serial(
    `${name}: making a folder costs a look-up and one request, or two with attributes of its own`,
    async (t) => {
      const { run, costs, server, top } = await oldObjects(name, { first: "1" });
      await run("ls");
      t.is(await costs("mkdir d"), "list folder-insert");
      t.is(await costs("mkdir -m 700 own", GATHERED_MS), "list folder-insert insert");
      t.deepEqual(await server.names(`${top}/`), [`${top}/first`, `${top}/own/`]);
    },
  );

  test.serial(
    `${name}: removing a folder costs one request, or two with attributes of its own`,
    async (t) => {
      const { run, costs, age } = await oldObjects(name, { first: "1", "d/f": "x" });
      await run("rm d/f; mkdir -m 700 own; sleep 1.5");
      await age();
      await run("ls . d own");
      t.is(await costs("rmdir d"), "folder-delete");
      t.is(await costs("rmdir own"), "delete folder-delete");
    },
  );

  test.serial(`${name}: removing a folder that is not empty costs one request`, async (t) => {
    const { run, costs } = await oldObjects(name, { first: "1", "d/f": "x" });
    await run("ls . d");
    t.is(await costs("! rmdir d 2>/dev/null"), "folder-delete");
  });

  test.serial(`${name}: a known folder whose trust has ended is confirmed by a get`, async (t) => {
    const { run, costs, age } = await oldObjects(name, { first: "1" });
    await run("ls; mkdir d");
    await age();
    t.is(await costs("echo x > d/f"), "folder-get list insert");
  });

  test.serial(`${name}: renaming a folder costs a get and the rename, however much is in it`, async (t) => {
    const { run, costs, age } = await oldObjects(name, {
      first: "1",
      ...many(300, (i) => `old/${i % 10}/${i}`),
    });
    await run("ls -lR; mkdir other; mv old seen"); // once in a mount it is looked what became of one object
    await age();
    await run("sleep 0.3; stat other");
    t.is(await costs(rename("seen/3", "seen/three")), "list folder-get folder-rename");
    t.is(await costs(rename("seen", "other")), "folder-delete folder-get folder-rename");
    t.is(await costs("ls other/three; cat other/5/5"), "get");
  });

  test.serial(`${name}: a cold stat costs one list for each component`, async (t) => {
    const { run, costs } = await oldObjects(name, { "a/b/c/d": "x", "a/b/e": "y", z: "z" });
    await run("ls");
    t.is(await costs("stat a/b/c/d"), "list list list");
    t.is(await costs("stat a/b/c/d"), "");
    t.is(await costs("stat a/b/e"), "list");
  });

  test.serial(`${name}: a listing costs one list for each folder, and shows what is in it`, async (t) => {
    const { run, costs } = await oldObjects(name, { first: "1", ...many(1000, (i) => `${i % 20}/${i}`) });
    await run("stat first");
    t.is(await costs("ls | wc -l"), "list");
    t.is(await costs("ls -l"), "");
    t.is(await costs("test $(find . -type f | wc -l) = 1001"), Array(20).fill("list").join(" "));
    t.is(await costs("ls -lR; stat 7/27"), "");
  });

  test.serial(`${name}: a missing name costs one list each time`, async (t) => {
    const { run, costs } = await oldObjects(name, { a: "a" });
    await run("ls");
    t.is(await costs("! stat nothing 2>/dev/null"), "list");
    t.is(await costs("! stat nothing/below 2>/dev/null"), "list");
  });
}
