// What work on files costs in requests, on either kind of bucket. Exact.

import test from "ava";
import { SETTINGS } from "../../helpers/mounted.ts";
import { GATHERED_MS, type OldObjects } from "./costs.ts";

export function fileCosts(oldObjects: OldObjects): void {
  for (const { name } of SETTINGS) {
    test.serial(
      `${name}: creating a second file in a known folder costs a look-up and an insert`,
      async (t) => {
        const { run, costs } = await oldObjects(name, { first: "1" });
        await run("ls");
        t.is(await costs("echo 2 > second"), "list insert");
      },
    );

    test.serial(`${name}: overwriting a known file costs one insert and downloads nothing`, async (t) => {
      const { run, costs } = await oldObjects(name, { big: Buffer.alloc(10 << 20, 1), other: "o" });
      await run("stat big other");
      t.is(await costs("head -c 1000000 /dev/zero > big"), "insert");
      t.is(await costs(`/usr/bin/python3 -c "open('other','wb').write(bytes(1000000))"`), "insert");
    });

    test.serial(`${name}: renaming a known file, also over another, costs one move`, async (t) => {
      const { server, top, run, costs } = await oldObjects(name, { a: "a", b: "b", c: "c" });
      await run("ls -l");
      t.is(await costs("mv -f a b"), "move");
      t.is((await server.get(`${top}/b`))?.toString(), "a");
    });

    test.serial(`${name}: unlinking a known file costs one delete`, async (t) => {
      const { run, costs } = await oldObjects(name, { a: "a", b: "b" });
      await run("ls -l");
      t.is(await costs("rm -f a"), "delete");
    });

    test.serial(
      `${name}: saving as editors do costs an insert and a move beyond the look-up of the temporary name`,
      async (t) => {
        const { server, top, run, costs } = await oldObjects(name, { text: "old" });
        await run("ls -l");
        const save =
          "import os; f=open('text.tmp','w'); f.write('new'); f.flush(); os.fsync(f.fileno()); f.close(); os.replace('text.tmp','text')";
        t.is(await costs(`/usr/bin/python3 -c "${save}"`), "list insert move");
        t.is((await server.get(`${top}/text`))?.toString(), "new");
      },
    );

    test.serial(`${name}: chmod, chown and times after a close cost one patch together`, async (t) => {
      const { server, top, run, costs } = await oldObjects(name, { a: "a" });
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
      const { server, top, run, costs } = await oldObjects(name, { a: "a" });
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
      `${name}: appending to a known large file costs an insert, a compose and a delete`,
      async (t) => {
        const { run, costs } = await oldObjects(name, { log: Buffer.alloc(10 << 20, 1) });
        await run("stat log");
        t.is(await costs("head -c 4096 /dev/zero >> log"), "insert compose delete");
      },
    );

    test.serial(`${name}: a name looked up again while it is trusted costs nothing`, async (t) => {
      const { run, costs } = await oldObjects(name, { a: "a" });
      await run("stat a");
      t.is(await costs("stat a; stat a; cat /dev/null a > /dev/null; stat a"), "get");
    });

    test.serial(
      `${name}: closing a duplicate, writing on and closing costs two inserts beyond the look-up`,
      async (t) => {
        const { run, costs } = await oldObjects(name, { other: "o" });
        await run("ls");
        const write =
          "import os; f=open('new','wb',0); f.write(bytes(1000000)); os.close(os.dup(f.fileno())); f.write(bytes(1000000)); f.close()";
        t.is(await costs(`/usr/bin/python3 -I -c "${write}"`), "list insert insert");
      },
    );

    test.serial(`${name}: a file that was not changed between two closes is sent once`, async (t) => {
      const { run, costs } = await oldObjects(name, { other: "o" });
      await run("ls");
      const write =
        "import os; f=open('new','wb',0); f.write(b'x'); [os.close(os.dup(f.fileno())) for _ in range(5)]; os.fsync(f.fileno()); f.close()";
      t.is(await costs(`/usr/bin/python3 -I -c "${write}"`), "list insert");
    });
  }
}
