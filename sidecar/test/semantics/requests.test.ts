// What each operation costs on a flat bucket, in requests, against the request log of the local server. Exact.

import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { mounted, shell, SETTINGS } from "../helpers/mounted.ts";
import { costing, many, QUIET_MS, shortName } from "./common/costs.ts";
import { fileCosts } from "./common/file-costs.ts";

const oldObjects = costing();
fileCosts(oldObjects);

for (const { name } of SETTINGS) {
  test.serial(
    `${name}: reading a cold file costs a look-up and a get, reading it again nothing`,
    async (t) => {
      const { costs } = await oldObjects(name, { photo: Buffer.alloc(1 << 20, 7) });
      t.is(await costs("cat photo | wc -c"), "list get");
      t.is(await costs("cat photo | wc -c"), "");
    },
  );

  test.serial(
    `${name}: reading after a restart costs one get of metadata for a name that is remembered`,
    async (t) => {
      const { server, mount, run, top } = await oldObjects(name, { photo: Buffer.alloc(1 << 20, 7) });
      await run("cat photo | wc -c");
      await delay(QUIET_MS);
      await mount.restart();
      await run("true");
      await server.forgetRequests();
      await server.put(`${top}/sibling`, "");
      t.is(await run("cat photo | wc -c"), `${1 << 20}\n`);
      const mine = (await server.requests()).filter(({ method }) => method !== "storage.objects.insert");
      t.true(mine.length <= 1, "one request, or none when the look-up of the folder has confirmed the file");
      t.true(
        mine.every(({ responseBytes }) => responseBytes < 10_000),
        "nothing is downloaded",
      );
    },
  );

  test.serial(
    `${name}: listing 1,000 objects in a known folder costs one list, ls -l after it nothing`,
    async (t) => {
      const { run, costs } = await oldObjects(
        name,
        many(1000, (i) => `object-${i}`),
      );
      await run("true");
      t.is(await costs("test $(ls | wc -l) = 1000"), "list");
      t.is(await costs("test $(ls -l | wc -l) = 1001"), "");
    },
  );

  test.serial(`${name}: a cold stat deep in a small tree costs one list, its siblings nothing`, async (t) => {
    const { costs } = await oldObjects(name, { "a/b/c/d": "x", "a/b/e": "y", z: "z" });
    t.is(await costs("stat a/b/c/d"), "list");
    t.is(await costs("stat a/b/e && ls -lR"), "");
  });

  test.serial(`${name}: a cold stat in a large tree costs at most one list for each component`, async (t) => {
    const { costs } = await oldObjects(
      name,
      many(260, (i) => `a/b/${i}/file`),
    );
    t.is(await costs("stat a/b/99/file"), "list list");
  });

  test.serial(`${name}: a missing name costs one list each time`, async (t) => {
    const { run, costs } = await oldObjects(name, { a: "a" });
    await run("ls");
    t.is(await costs("! stat nothing 2>/dev/null"), "list");
    t.is(await costs("! stat nothing 2>/dev/null"), "list");
  });

  test.serial(
    `${name}: find over a tree of 1,000 objects in 50 folders costs one list in a known folder`,
    async (t) => {
      const { run, costs } = await oldObjects(
        name,
        many(1000, (i) => `${i % 50}/${i}`),
      );
      await run("true");
      t.is(await costs("test $(find . -type f | wc -l) = 1000"), "list");
    },
  );

  test.serial(`${name}: saving as editors do where nothing is known costs one look-up more`, async (t) => {
    const { costs } = await oldObjects(name, { text: "old" });
    const save =
      "import os; open('text').close(); f=open('text.tmp','w'); f.write('newer'); f.flush(); os.fsync(f.fileno()); f.close(); os.replace('text.tmp','text')";
    t.is(await costs(`/usr/bin/python3 -I -c "${save}"`), "list get list insert move");
  });

  test.serial(
    `${name}: 4 KB in the middle of a cold object of 200 MB cost a look-up and at most a megabyte`,
    async (t) => {
      const { server, costs } = await oldObjects(name, { big: Buffer.alloc(200 << 20, 5) });
      const read = "f=open('big','rb',0); f.seek(100<<20); assert f.read(4096)==b'\\x05'*4096";
      t.is(await costs(`/usr/bin/python3 -I -c "${read}"`), "list get");
      const bytes = (await server.requests()).reduce((sum, { responseBytes }) => sum + responseBytes, 0);
      t.true(bytes <= 1.1e6, `${bytes} bytes`);
    },
  );

  test.serial(
    `${name}: making a folder costs its look-up and an insert, removing one a list and a delete`,
    async (t) => {
      const { run, costs } = await oldObjects(name, { a: "a", "empty/": "" });
      await run("ls -l");
      t.is(await costs("mkdir made"), "list insert");
      t.is(await costs("rmdir empty"), "list delete");
    },
  );

  test.serial(
    `${name}: renaming a folder of 100 files costs a list and a move for each object`,
    async (t) => {
      const { run, costs } = await oldObjects(name, { ...many(100, (i) => `old/${i}`), other: "o" });
      await run("ls -l . old");
      const calls = (await costs('/usr/bin/python3 -I -c \'import os; os.rename("old", "new")\'')).split(" ");
      t.is(calls.filter((call) => call === "move").length, 100);
      t.is(calls.filter((call) => call !== "move").join(" "), "list list");
    },
  );
}

for (const { name, options } of SETTINGS) {
  test.serial(
    `${name}: with --sole-writer a missing name costs nothing, and a new file one insert`,
    async (t) => {
      const { server, top } = await oldObjects(name, { first: "1" });
      const mount = await mounted(t, server, [...options, "--sole-writer"]);
      await shell(mount, `ls ${top}`);
      await server.forgetRequests();
      await shell(mount, `cd ${top}; ! stat nothing 2>/dev/null; echo 2 > second; mv second third`);
      await delay(QUIET_MS);
      t.deepEqual(
        (await server.requests()).map(({ method }) => shortName(method)),
        ["insert", "move"],
      );
    },
  );
}
