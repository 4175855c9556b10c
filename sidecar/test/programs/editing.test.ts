// Programs that change a file where it is, or replace it by a temporary one: the shell, sed, truncate, dd, sort, gzip.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { behaviours } from "../helpers/settings.ts";
import { bytes, comesToBe, localFolder, quoted, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

behaviour("sed -i edits through a temporary file that does not stay", async (place) => {
  const { t, server, top, shell, object, objects } = place;
  await server.put(`${top}/config`, "host = old\nport = 1\n".repeat(1000));
  await shell("sed -i s/old/new/ config; sed -i.bak '1d' config; chmod 640 config; sed -i '$d' config");
  const expected = `${"host = new\nport = 1\n".repeat(1000)}`.split("\n").slice(1, -2).join("\n");
  t.is(await object("config"), `${expected}\n`);
  t.is(await shell("cat config"), `${expected}\n`);
  t.is(await object("config.bak"), "host = new\nport = 1\n".repeat(1000));
  t.deepEqual(await objects(), ["config", "config.bak"]);
  t.is(await shell("stat -c %a config; ls -A"), "640\nconfig\nconfig.bak\n");
  const mode = async (): Promise<string | undefined> =>
    (await treeInBucket(place, "", "mode and time"))["config"]?.split(", ")[2]?.split(" ")[0];
  await comesToBe(t, mode, "640");
});

behaviour("the shell appends to new, small and large files", async (place) => {
  const { t, server, top, shell, object, objects } = place;
  const large = bytes(10_000_000);
  await server.put(`${top}/large`, large);
  await server.put(`${top}/small`, "first\n");
  await shell(`
    for word in one two three; do echo $word >> new; done
    echo second >> small; { echo third; echo fourth; } >> small; seq 5 7 | tee -a small > copy
    echo tail >> large; tail -c 9 large > end`);
  t.is(await object("new"), "one\ntwo\nthree\n");
  t.is(await object("small"), "first\nsecond\nthird\nfourth\n5\n6\n7\n");
  t.is(await object("copy"), "5\n6\n7\n");
  t.true((await server.get(`${top}/large`))?.equals(Buffer.concat([large, Buffer.from("tail\n")])));
  t.is((await server.get(`${top}/end`))?.subarray(4).toString(), "tail\n");
  t.deepEqual(await objects(), ["copy", "end", "large", "new", "small"]);
});

behaviour(
  "the children of a shell loop write one file between them",
  async ({ t, shell, object, objects }) => {
    await shell("for i in $(seq 100); do /bin/echo line $i; done > log");
    t.is(await object("log"), Array.from({ length: 100 }, (_, i) => `line ${i + 1}\n`).join(""));
    t.deepEqual(await objects(), ["log"]);
  },
);

behaviour("truncate -s cuts, extends and makes files", async ({ t, server, top, shell, object, objects }) => {
  await server.put(`${top}/cut`, "0123456789");
  await server.put(`${top}/grown`, "abc");
  await server.put(`${top}/emptied`, bytes(3_000_000));
  await shell(
    "truncate -s 4 cut; truncate -s 6 grown; truncate -s 0 emptied; truncate -s 5000000 made; truncate -s -2 cut",
  );
  t.is(await object("cut"), "01");
  t.is(await object("grown"), "abc\0\0\0");
  t.is(await object("emptied"), "");
  t.true((await server.get(`${top}/made`))?.equals(Buffer.alloc(5_000_000)));
  t.is(await shell("stat -c %s *"), "2\n0\n6\n5000000\n");
  t.deepEqual(await objects(), ["cut", "emptied", "grown", "made"]);
});

behaviour("dd writes anywhere in a file, with and without sync", async (place) => {
  const { t, server, top, shell, objects } = place;
  const local = await localFolder(t);
  const data = bytes(8 << 20);
  await writeFile(path.join(local, "source"), data);
  await shell(`
    exec 2> /dev/null
    dd if=${quoted(local)}/source of=whole bs=1M conv=fsync
    dd if=${quoted(local)}/source of=small bs=4k count=300 oflag=sync
    printf HERE | dd of=whole bs=1 seek=5000000 conv=notrunc
    dd if=whole of=${quoted(local)}/middle bs=1M skip=3 count=2
    dd if=/dev/null of=sparse bs=1 seek=3000000; dd if=whole of=whole-again bs=64k`);
  data.write("HERE", 5_000_000);
  t.true((await server.get(`${top}/whole`))?.equals(data));
  t.true((await server.get(`${top}/whole-again`))?.equals(data));
  t.true((await server.get(`${top}/small`))?.equals(bytes(8 << 20).subarray(0, 300 * 4096)));
  t.true((await server.get(`${top}/sparse`))?.equals(Buffer.alloc(3_000_000)));
  t.is((await shell(`cmp ${quoted(local)}/middle whole 0 3M -n 2M && echo same`)).trim(), "same");
  t.deepEqual(await objects(), ["small", "sparse", "whole", "whole-again"]);
});

behaviour("sort -o, split, cat, gzip and gunzip leave what they made and nothing else", async (place) => {
  const { t, shell, object, objects } = place;
  await shell(`
    seq 100000 > numbers; sort -rn -o numbers numbers; head -n 1 numbers > first
    split -n 4 numbers part-; cat part-* > joined; cmp joined numbers; rm part-*
    gzip joined; gunzip -c joined.gz | cmp - numbers; gunzip -k joined.gz; cmp joined numbers`);
  t.is(await object("first"), "100000\n");
  t.deepEqual(await objects(), ["first", "joined", "joined.gz", "numbers"]);
  t.is(await object("joined"), await object("numbers"));
});
