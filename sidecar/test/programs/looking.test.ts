// Programs that only look: find, du, diff, md5sum, head, tail, grep, wc. They must agree with a local disk.

import { setTimeout as delay } from "node:timers/promises";
import path from "node:path";
import { behaviours, type Place } from "../helpers/settings.ts";
import { bytes, fillWithSamples, localFolder, quoted, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

/** The same sample tree on the mount (`tree`) and on local disk. */
async function twins(
  place: Place,
): Promise<{ local: string; both: (script: string) => Promise<[string, string]> }> {
  const { t, shell } = place;
  const local = path.join(await localFolder(t), "tree");
  await shell(`mkdir ${quoted(local)}`);
  await fillWithSamples(local, place);
  await shell(`cp -a ${quoted(local)} tree`);
  const both = async (script: string): Promise<[string, string]> => [
    await shell(`cd tree; ${script}`),
    await shell(`cd ${quoted(local)}; ${script}`),
  ];
  return { local, both };
}

behaviour("find selects by name, kind, size, time and mode as on a local disk", async (place) => {
  const { t } = place;
  const { local, both } = await twins(place);
  for (const wanted of [
    "",
    "-type f",
    "-type d",
    "-type l",
    "-name '*.bin'",
    "-empty",
    "-size +100k",
    "-newermt 2012-01-01",
    "-perm -100 -type f",
    "-mindepth 2 -printf '%p %s %m %T@\\n'",
    "-newer plain.txt",
    "-type f -exec sha256sum {} +",
  ]) {
    const [mount, disk] = await both(`find . ${wanted} | LC_ALL=C sort`);
    t.is(mount, disk, wanted);
  }
  t.deepEqual(await treeInBucket(place, "tree"), await treeIn(local));
});

behaviour("find -delete empties a tree, in the bucket too", async (place) => {
  const { t, shell, objects } = place;
  await twins(place);
  await shell("find tree -mindepth 1 -delete; ls -A tree");
  t.deepEqual(await objects(), ["tree/"]);
});

behaviour("du, wc, grep -r and ls -lR agree with a local disk", async (place) => {
  const { t, shell } = place;
  const { both } = await twins(place);
  for (const script of [
    "find . -type f -print0 | LC_ALL=C sort -z | du -b --files0-from=- | tail -n +1",
    "find . -type f -print0 | LC_ALL=C sort -z | wc -c --files0-from=-",
    "grep -r text . | LC_ALL=C sort",
    "LC_ALL=C ls -lR --time-style=full-iso . | grep -v ^total | awk '{ if ($1 !~ /^d/) print $1, $5, $6, $7, $9, $10 }'",
  ]) {
    const [mount, disk] = await both(script);
    t.is(mount, disk, script);
  }
  // Three million bytes take about three million bytes of disk, by either count.
  const kilobytes = Number((await shell("du -sk tree")).split("\t")[0]);
  t.true(kilobytes > 2900 && kilobytes < 3300, `${kilobytes} kB`);
});

behaviour("diff -r says what differs and nothing else", async (place) => {
  const { t, shell } = place;
  const { local } = await twins(place);
  const differences = (): Promise<string> =>
    shell(`LC_ALL=C diff -rq --no-dereference ${quoted(local)} tree || true`);
  t.is(await differences(), "");
  await shell("echo x >> tree/plain.txt; rm tree/empty; echo y > tree/sub/extra");
  const said = (await differences()).replaceAll(local, "DISK").split("\n").filter(Boolean).sort();
  t.deepEqual(said, [
    "Files DISK/plain.txt and tree/plain.txt differ",
    "Only in DISK: empty",
    "Only in tree/sub: extra",
  ]);
  t.deepEqual(await treeInBucket(place, "tree"), await treeIn(place.path("tree")));
});

behaviour("md5sum -c finds every file whole, and one that was changed", async (place) => {
  const { t, server, top, shell, objects } = place;
  const { local } = await twins(place);
  await shell(`(cd ${quoted(local)}; find . -type f -exec md5sum {} +) > sums`);
  t.notRegex(await shell("cd tree; md5sum -c ../sums"), /FAILED/);
  await server.put(`${top}/tree/plain.txt`, "other text");
  await delay(1000);
  t.regex(await shell("cd tree; md5sum -c ../sums 2>&1 || true"), /^\.\/plain\.txt: FAILED$/m);
  t.false((await objects()).some((name) => !/^(sums|tree\/.*)$/.test(name)));
});

behaviour("head and tail read the ends of a cold large object", async (place) => {
  const { t, server, top, shell } = place;
  const data = bytes(20_000_000);
  await server.put(`${top}/large`, data);
  const text = (part: Buffer): string => `${part.toString("base64")}\n`;
  t.is(await shell("tail -c 100 large | base64 -w 0; echo"), text(data.subarray(-100)));
  t.is(await shell("head -c 100 large | base64 -w 0; echo"), text(data.subarray(0, 100)));
  t.true((await server.get(`${top}/large`))?.equals(data));
});

for (const [who, before, write, after] of [
  ["another program appends them", "echo one > log", (line: string) => `echo ${line} >> log`, ""],
  [
    "their writer keeps the file open",
    "exec 3> log; echo one >&3",
    (line: string) => `echo ${line} >&3`,
    "exec 3>&-",
  ],
] as const) {
  behaviour(`tail -f shows lines as ${who}`, async ({ t, shell, object, objects }) => {
    const output = quoted(path.join(await localFolder(t), "output"));
    const seen = await shell(`
      ${before}
      timeout 20 tail -n +1 -s 0.1 -f log > ${output} & tail=$!
      sleep 0.5; ${write("two")}; sleep 0.5; ${write("three")}
      for i in $(seq 100); do grep -q three ${output} && break; sleep 0.1; done
      ${after}
      kill $tail; wait $tail || true; cat ${output}`);
    t.is(seen, "one\ntwo\nthree\n");
    t.is(await object("log"), seen);
    t.deepEqual(await objects(), ["log"]);
  });
}

behaviour(
  "df shows the mount with room for bytes and files, and stat -f names it",
  async ({ t, mount, shell, python }) => {
    const [, line = ""] = (await shell("df -B1 --output=target,avail,size,itotal,iavail,fstype .")).split(
      "\n",
    );
    const [target, available, size, files, freeFiles, type] = line.trim().split(/\s+/);
    t.is(target, mount.directory);
    t.is(type, "fuse.sidemount");
    for (const figure of [available, size]) t.true(Number(figure) > 1e12, line);
    for (const figure of [files, freeFiles]) t.true(Number(figure) > 1e6, line);
    t.is(await shell("stat -f -c '%T %l' ."), "fuseblk 255\n");
    t.is(
      await python("import shutil; print(shutil.disk_usage('.').free > 10**12, os.statvfs('.').f_namemax)"),
      "True 255\n",
    );
  },
);
