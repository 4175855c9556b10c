// rsync writes to a temporary name and renames it: what stays is one object, and a reader sees old or new.

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { behaviours } from "../helpers/settings.ts";
import {
  asKept,
  bytes,
  comesToBe,
  fillWithSamples,
  localFolder,
  quoted,
  treeIn,
  treeInBucket,
} from "./trees.ts";

const behaviour = behaviours();
const MB = 1_000_000;

behaviour("rsync of 50 MB leaves one object and no temporary one", async (place) => {
  const { t, server, top, shell, objects } = place;
  t.timeout(120_000);
  const local = await localFolder(t);
  const data = bytes(50 * MB);
  await writeFile(path.join(local, "large.bin"), data);
  await shell(`rsync ${quoted(local)}/large.bin .`);
  t.deepEqual(await objects(), ["large.bin"]);
  t.is(await shell("ls -A"), "large.bin\n");
  t.true((await server.get(`${top}/large.bin`))?.equals(data));
  await shell(`cmp ${quoted(local)}/large.bin large.bin`);
});

behaviour(
  "while rsync replaces a file, every reader sees all of the old or all of the new",
  async (place) => {
    const { t, server, top, shell, objects } = place;
    t.timeout(120_000);
    const local = await localFolder(t);
    const [old, young] = [bytes(20 * MB, 1), bytes(21 * MB, 2)];
    await server.put(`${top}/file`, old);
    await writeFile(path.join(local, "file"), young);
    const seen = await shell(`
    (while [ ! -e ${quoted(local)}/stop ]; do md5sum < file; done; md5sum < file) > ${quoted(local)}/seen &
    rsync ${quoted(local)}/file .; touch ${quoted(local)}/stop; wait; cat ${quoted(local)}/seen`);
    const sums = seen.trim().split("\n");
    t.true(sums.length > 1);
    const allowed = [old, young].map((data) => `${createHash("md5").update(data).digest("hex")}  -`);
    for (const sum of sums) t.true(allowed.includes(sum), sum);
    t.is(sums.at(-1), allowed[1]);
    t.true((await server.get(`${top}/file`))?.equals(young));
    t.deepEqual(await objects(), ["file"]);
  },
);

behaviour("rsync -a copies a tree with its attributes; a second run transfers nothing", async (place) => {
  const { t, server, top, path: mountPath, shell } = place;
  const local = await localFolder(t);
  await fillWithSamples(local, place);
  const expected = await treeIn(local, "mode and time");
  await shell(`rsync -a ${quoted(local)}/ copy/`);
  t.deepEqual(await treeIn(mountPath("copy"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "copy", "mode and time"), expected);

  const last = (await server.requests()).at(-1)?.sequence ?? 0;
  t.is(await shell(`rsync -a --itemize-changes ${quoted(local)}/ copy/`), "");
  const changes = (await server.requests()).filter(
    ({ sequence, method, object }) =>
      sequence > last && object?.startsWith(`${top}/`) && !/\.(get|list)$/.test(method),
  );
  t.deepEqual(changes, []);
});

behaviour("rsync -a --delete follows what changed, and takes it back out", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  const tree = path.join(local, "tree");
  await shell(`mkdir ${quoted(tree)}`);
  await fillWithSamples(tree, place);
  await shell(`rsync -a ${quoted(tree)}/ copy/`);
  await shell(`
    cd ${quoted(tree)}; rm -r 'sub/deeper' plain.txt; echo more >> 'one block'; chmod 711 sub/run.sh
    mkdir new; echo new > new/file; ln -sfn elsewhere link; touch -d '2025-01-01 UTC' sub/secret
    touch -d '2025-01-02 03:04:05.25 UTC' new sub .`); // rsync leaves a folder's time that is right to the second
  const expected = asKept(await treeIn(tree, "mode and time"), place);
  await shell(`rsync -a --delete ${quoted(tree)}/ copy/`);
  t.deepEqual(await treeIn(mountPath("copy"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "copy", "mode and time"), expected);
  await shell(`rsync -a copy/ ${quoted(local)}/back/`);
  t.deepEqual(await treeIn(path.join(local, "back"), "mode and time"), expected);
});

behaviour("rsync --inplace and --append change the file that is there", async (place) => {
  const { t, server, top, shell, objects } = place;
  const local = await localFolder(t);
  const data = bytes(6 * MB);
  await writeFile(path.join(local, "file"), data);
  await shell(`rsync ${quoted(local)}/file .`);
  data.fill("changed", 3 * MB, 3 * MB + 7);
  await writeFile(path.join(local, "file"), data);
  await shell(`rsync --inplace --no-whole-file --ignore-times ${quoted(local)}/file .`);
  t.true((await server.get(`${top}/file`))?.equals(data));
  const longer = Buffer.concat([data, Buffer.from("and more")]);
  await writeFile(path.join(local, "file"), longer);
  await shell(`rsync --append-verify ${quoted(local)}/file .`);
  t.true((await server.get(`${top}/file`))?.equals(longer));
  t.deepEqual(await objects(), ["file"]);
});
