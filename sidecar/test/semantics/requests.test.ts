// What each operation costs, in requests to the bucket, against the request log of the local server. Exact.

import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { BucketServer } from "../helpers/bucket-server.ts";
import { Cleanups } from "../helpers/cleanups.ts";
import { mounted, shell, SETTINGS, type Mount } from "../helpers/mounted.ts";

const HOUR_MS = 3_600_000;
/** Longer than anything that follows an operation in the background. */
const QUIET_MS = 400;
/** Longer than attribute changes are gathered. */
const GATHERED_MS = 1600;

interface Shared {
  server: BucketServer;
  mounts: Map<string, Mount>;
}
const test = anyTest as TestFn<Shared>;
let folders = 0;

const cleanups = new Cleanups();
test.after.always(() => cleanups.run());

test.before(async (t) => {
  const server = await BucketServer.start(cleanups);
  const mounts = new Map<string, Mount>();
  for (const { name, options } of SETTINGS) mounts.set(name, await mounted(cleanups, server, options));
  t.context = { server, mounts };
});

const SHORT: Record<string, string> = {
  "storage.objects.insert": "insert",
  "storage.objects.list": "list",
  "storage.objects.delete": "delete",
  "storage.objects.patch": "patch",
  "storage.objects.move": "move",
  "storage.objects.get": "get",
  "storage.objects.compose": "compose",
};

/** A folder of objects an hour old, which the mount has never seen, and what work in it costs. */
async function oldObjects(
  t: ExecutionContext<Shared>,
  setting: string,
  objects: Record<string, string | Buffer>,
) {
  const { server, mounts } = t.context;
  const mount = mounts.get(setting) as Mount;
  const top = `${setting}-${(folders += 1)}`;
  const names = Object.entries(objects);
  for (const some of chunks(names, 50))
    await Promise.all(some.map(([name, bytes]) => server.put(`${top}/${name}`, bytes)));
  await server.age(folders * HOUR_MS);
  const run = (script: string): Promise<string> => shell(mount, `cd ${top}; ${script}`);
  /** The requests a script causes, counted until quiet, in words. */
  const costs = async (script: string, quietMs = QUIET_MS): Promise<string> => {
    await delay(QUIET_MS);
    await server.forgetRequests();
    await run(script);
    await delay(quietMs);
    return (await server.requests()).map(({ method }) => SHORT[method] ?? method).join(" ");
  };
  return { server, mount, top, run, costs };
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

function many(count: number, name: (i: number) => string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), "x"]));
}

for (const { name } of SETTINGS) {
  test.serial(
    `${name}: creating a second file in a known folder costs a look-up and an insert`,
    async (t) => {
      const { run, costs } = await oldObjects(t, name, { first: "1" });
      await run("ls");
      t.is(await costs("echo 2 > second"), "list insert");
    },
  );

  test.serial(`${name}: overwriting a known file costs one insert and downloads nothing`, async (t) => {
    const { run, costs } = await oldObjects(t, name, { big: Buffer.alloc(10 << 20, 1), other: "o" });
    await run("stat big other");
    t.is(await costs("head -c 1000000 /dev/zero > big"), "insert");
    t.is(await costs(`/usr/bin/python3 -c "open('other','wb').write(bytes(1000000))"`), "insert");
  });

  test.serial(
    `${name}: reading a cold file costs a look-up and a get, reading it again nothing`,
    async (t) => {
      const { costs } = await oldObjects(t, name, { photo: Buffer.alloc(1 << 20, 7) });
      t.is(await costs("cat photo | wc -c"), "list get");
      t.is(await costs("cat photo | wc -c"), "");
    },
  );

  test.serial(
    `${name}: reading after a restart costs one get of metadata for a name that is remembered`,
    async (t) => {
      const { server, mount, run, top } = await oldObjects(t, name, { photo: Buffer.alloc(1 << 20, 7) });
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
        t,
        name,
        many(1000, (i) => `object-${i}`),
      );
      await run("true");
      t.is(await costs("test $(ls | wc -l) = 1000"), "list");
      t.is(await costs("test $(ls -l | wc -l) = 1001"), "");
    },
  );

  test.serial(`${name}: renaming a known file, also over another, costs one move`, async (t) => {
    const { server, top, run, costs } = await oldObjects(t, name, { a: "a", b: "b", c: "c" });
    await run("ls -l");
    t.is(await costs("mv -f a b"), "move");
    t.is((await server.get(`${top}/b`))?.toString(), "a");
  });

  test.serial(`${name}: unlinking a known file costs one delete`, async (t) => {
    const { run, costs } = await oldObjects(t, name, { a: "a", b: "b" });
    await run("ls -l");
    t.is(await costs("rm -f a"), "delete");
  });

  test.serial(`${name}: a cold stat deep in a small tree costs one list, its siblings nothing`, async (t) => {
    const { costs } = await oldObjects(t, name, { "a/b/c/d": "x", "a/b/e": "y", z: "z" });
    t.is(await costs("stat a/b/c/d"), "list");
    t.is(await costs("stat a/b/e && ls -lR"), "");
  });

  test.serial(`${name}: a cold stat in a large tree costs at most one list for each component`, async (t) => {
    const { costs } = await oldObjects(
      t,
      name,
      many(260, (i) => `a/b/${i}/file`),
    );
    t.is(await costs("stat a/b/99/file"), "list list");
  });

  test.serial(`${name}: a missing name costs one list each time`, async (t) => {
    const { run, costs } = await oldObjects(t, name, { a: "a" });
    await run("ls");
    t.is(await costs("! stat nothing 2>/dev/null"), "list");
    t.is(await costs("! stat nothing 2>/dev/null"), "list");
  });

  test.serial(
    `${name}: saving as editors do costs an insert and a move beyond the look-up of the temporary name`,
    async (t) => {
      const { server, top, run, costs } = await oldObjects(t, name, { text: "old" });
      await run("ls -l");
      const save =
        "import os; f=open('text.tmp','w'); f.write('new'); f.flush(); os.fsync(f.fileno()); f.close(); os.replace('text.tmp','text')";
      t.is(await costs(`/usr/bin/python3 -c "${save}"`), "list insert move");
      t.is((await server.get(`${top}/text`))?.toString(), "new");
    },
  );

  test.serial(`${name}: chmod, chown and times after a close cost one patch together`, async (t) => {
    const { server, top, run, costs } = await oldObjects(t, name, { a: "a" });
    await run("ls -l");
    const change = "import os; os.chmod('a',0o600); os.chown('a',33,33); os.utime('a',(1,1577836800))";
    t.is(await costs(`/usr/bin/python3 -c "${change}"`, GATHERED_MS), "patch");
    t.like((await server.stat(`${top}/a`))?.metadata, {
      "goog-reserved-posix-mode": "600",
      "goog-reserved-posix-uid": "33",
      "goog-reserved-file-mtime": "1577836800",
    });
  });

  test.serial(`${name}: mode and times set before the close cost nothing beyond the insert`, async (t) => {
    const { server, top, run, costs } = await oldObjects(t, name, { a: "a" });
    await run("ls -l");
    const copy =
      "import os; f=open('copy','wb',0); f.write(b'x'); os.fchmod(f.fileno(),0o640); os.utime(f.fileno(),(1,1577836800)); f.close()";
    t.is(await costs(`/usr/bin/python3 -c "${copy}"`, GATHERED_MS), "list insert");
    t.like((await server.stat(`${top}/copy`))?.metadata, {
      "goog-reserved-posix-mode": "640",
      "goog-reserved-file-mtime": "1577836800",
    });
  });

  test.serial(
    `${name}: find over a tree of 1,000 objects in 50 folders costs one list in a known folder`,
    async (t) => {
      const { run, costs } = await oldObjects(
        t,
        name,
        many(1000, (i) => `${i % 50}/${i}`),
      );
      await run("true");
      t.is(await costs("test $(find . -type f | wc -l) = 1000"), "list");
    },
  );

  test.serial(
    `${name}: appending to a known large file costs an insert, a compose and a delete`,
    async (t) => {
      const { run, costs } = await oldObjects(t, name, { log: Buffer.alloc(10 << 20, 1) });
      await run("stat log");
      t.is(await costs("head -c 4096 /dev/zero >> log"), "insert compose delete");
    },
  );

  test.serial(`${name}: a name looked up again while it is trusted costs nothing`, async (t) => {
    const { run, costs } = await oldObjects(t, name, { a: "a" });
    await run("stat a");
    t.is(await costs("stat a; stat a; cat /dev/null a > /dev/null; stat a"), "get");
  });

  test.serial(`${name}: saving as editors do where nothing is known costs one look-up more`, async (t) => {
    const { costs } = await oldObjects(t, name, { text: "old" });
    const save =
      "import os; open('text').close(); f=open('text.tmp','w'); f.write('newer'); f.flush(); os.fsync(f.fileno()); f.close(); os.replace('text.tmp','text')";
    t.is(await costs(`/usr/bin/python3 -I -c "${save}"`), "list get list insert move");
  });

  test.serial(
    `${name}: closing a duplicate, writing on and closing costs two inserts beyond the look-up`,
    async (t) => {
      const { run, costs } = await oldObjects(t, name, { other: "o" });
      await run("ls");
      const write =
        "import os; f=open('new','wb',0); f.write(bytes(1000000)); os.close(os.dup(f.fileno())); f.write(bytes(1000000)); f.close()";
      t.is(await costs(`/usr/bin/python3 -I -c "${write}"`), "list insert insert");
    },
  );

  test.serial(`${name}: a file that was not changed between two closes is sent once`, async (t) => {
    const { run, costs } = await oldObjects(t, name, { other: "o" });
    await run("ls");
    const write =
      "import os; f=open('new','wb',0); f.write(b'x'); [os.close(os.dup(f.fileno())) for _ in range(5)]; os.fsync(f.fileno()); f.close()";
    t.is(await costs(`/usr/bin/python3 -I -c "${write}"`), "list insert");
  });

  test.serial(
    `${name}: 4 KB in the middle of a cold object of 200 MB cost a look-up and at most a megabyte`,
    async (t) => {
      const { server, costs } = await oldObjects(t, name, { big: Buffer.alloc(200 << 20, 5) });
      const read = "f=open('big','rb',0); f.seek(100<<20); assert f.read(4096)==b'\\x05'*4096";
      t.is(await costs(`/usr/bin/python3 -I -c "${read}"`), "list get");
      const bytes = (await server.requests()).reduce((sum, { responseBytes }) => sum + responseBytes, 0);
      t.true(bytes <= 1.1e6, `${bytes} bytes`);
    },
  );

  test.serial(
    `${name}: making a folder costs its look-up and an insert, removing one a list and a delete`,
    async (t) => {
      const { run, costs } = await oldObjects(t, name, { a: "a", "empty/": "" });
      await run("ls -l");
      t.is(await costs("mkdir made"), "list insert");
      t.is(await costs("rmdir empty"), "list delete");
    },
  );

  test.serial(
    `${name}: renaming a folder of 100 files costs a list and a move for each object`,
    async (t) => {
      const { run, costs } = await oldObjects(t, name, { ...many(100, (i) => `old/${i}`), other: "o" });
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
      const { server } = t.context;
      const mount = await mounted(t, server, [...options, "--sole-writer"]);
      const top = `sole-${name}`;
      await server.put(`${top}/first`, "1");
      await shell(mount, `ls ${top}`);
      await server.forgetRequests();
      await shell(mount, `cd ${top}; ! stat nothing 2>/dev/null; echo 2 > second; mv second third`);
      await delay(QUIET_MS);
      t.deepEqual(
        (await server.requests()).map(({ method }) => SHORT[method] ?? method),
        ["insert", "move"],
      );
    },
  );
}
