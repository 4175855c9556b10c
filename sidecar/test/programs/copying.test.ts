// cp and mv: into the mount, out of it, within it, over what is there.

import { readFile, writeFile } from "node:fs/promises";
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

behaviour("cp copies files in, out and within, and the objects are what was copied", async (place) => {
  const { t, server, top, shell, objects } = place;
  const local = await localFolder(t);
  const data = bytes(10_000_000);
  await writeFile(path.join(local, "source"), data);
  await shell(`cp ${quoted(local)}/source in; cp in within; cp within ${quoted(local)}/out`);
  t.true((await readFile(path.join(local, "out"))).equals(data));
  t.true((await server.get(`${top}/in`))?.equals(data));
  t.true((await server.get(`${top}/within`))?.equals(data));
  t.deepEqual(await objects(), ["in", "within"]);
});

behaviour("cp of a cold object out of the mount and to another name in it", async (place) => {
  const { t, server, top, shell, objects } = place;
  const local = await localFolder(t);
  const data = bytes(12_345_678, 2);
  await server.put(`${top}/cold`, data);
  await shell(`cp cold ${quoted(local)}/out; cp cold again; cmp cold again`);
  t.true((await readFile(path.join(local, "out"))).equals(data));
  t.true((await server.get(`${top}/again`))?.equals(data));
  t.deepEqual(await objects(), ["again", "cold"]);
});

behaviour("cp over a longer and over a shorter file leaves exactly the new bytes", async (place) => {
  const { t, server, top, shell, objects } = place;
  const local = await localFolder(t);
  await writeFile(path.join(local, "short"), "short\n");
  await writeFile(path.join(local, "long"), bytes(2_000_000));
  await server.put(`${top}/target`, bytes(1_000_000, 3));
  await shell(`cp ${quoted(local)}/short target`);
  t.is((await server.get(`${top}/target`))?.toString(), "short\n");
  await shell(`cp ${quoted(local)}/long target; cmp ${quoted(local)}/long target`);
  t.true((await server.get(`${top}/target`))?.equals(bytes(2_000_000)));
  t.deepEqual(await objects(), ["target"]);
});

behaviour("cp -p keeps mode and time, in the bucket when it returns", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  await shell(`
    printf program > ${quoted(local)}/tool; chmod 750 ${quoted(local)}/tool
    touch -d '2003-02-01 04:05:06.700000008 UTC' ${quoted(local)}/tool
    cp -p ${quoted(local)}/tool .`);
  const expected = asKept(await treeIn(local, "mode and time"), place);
  t.deepEqual(await treeInBucket(place, "", "mode and time"), expected);
  t.deepEqual(await treeIn(mountPath(), "mode and time"), expected);
});

behaviour("cp -a copies a tree in and out again with modes, times and links", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  const tree = path.join(local, "tree");
  await shell(`mkdir ${quoted(tree)}`);
  await fillWithSamples(tree, place);
  const expected = await treeIn(tree, "mode and time");
  await shell(`cp -a ${quoted(tree)} copy; diff -r --no-dereference ${quoted(tree)} copy`);
  t.deepEqual(await treeIn(mountPath("copy"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "copy", "mode and time"), expected);
  await shell(`cp -a copy ${quoted(local)}/back`);
  t.deepEqual(await treeIn(path.join(local, "back"), "mode and time"), expected);
});

behaviour("cp -a within the mount makes a second tree like the first", async (place) => {
  const { t, path: mountPath, shell } = place;
  await shell("mkdir one");
  await fillWithSamples(mountPath("one"), place);
  const expected = await treeIn(mountPath("one"), "mode and time");
  await shell("cp -a one two; diff -r --no-dereference one two");
  t.deepEqual(await treeIn(mountPath("two"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "two", "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "one", "mode and time"), expected);
});

behaviour("mv within the mount changes the name and nothing else", async (place) => {
  const { t, server, top, path: mountPath, shell, objects } = place;
  await server.put(`${top}/cold`, "cold one");
  await shell("mkdir folder; printf new > new; chmod 640 new; touch -d '2004-04-04 UTC' new");
  const { new: before } = await treeIn(mountPath(), "mode and time");
  await shell("mv new folder/renamed; mv cold warm");
  t.deepEqual(await objects(), ["folder/", "folder/renamed", "warm"]);
  t.is((await server.get(`${top}/warm`))?.toString(), "cold one");
  await comesToBe(t, async () => (await treeInBucket(place, "", "mode and time"))["folder/renamed"], before);
  t.is((await treeIn(mountPath(), "mode and time"))["folder/renamed"], before);
});

behaviour("mv over an existing file replaces it", async ({ t, server, top, shell, object, objects }) => {
  await server.put(`${top}/target`, "the old and longer target");
  t.is(await shell("printf new > source; mv -f source target; cat target; ls"), "newtarget\n");
  t.is(await object("target"), "new");
  t.deepEqual(await objects(), ["target"]);
});

behaviour("mv into the mount from another filesystem, also over an existing file", async (place) => {
  const { t, server, top, shell } = place;
  const local = await localFolder(t);
  await server.put(`${top}/taken`, "in the way, for now");
  await shell(`mkdir ${quoted(local)}/from`);
  await writeFile(path.join(local, "from", "big"), bytes(9_000_000));
  await writeFile(path.join(local, "from", "taken"), "moved");
  await shell(
    `chmod 600 ${quoted(local)}/from/*; touch -d '2005-05-05 05:05:05.5 UTC' ${quoted(local)}/from/*`,
  );
  const expected = await treeIn(path.join(local, "from"), "mode and time");
  await shell(`mv -f ${quoted(local)}/from/* .`);
  t.deepEqual(await treeIn(path.join(local, "from")), {});
  t.deepEqual(await treeInBucket(place, "", "mode and time"), expected);
});

behaviour("mv out of the mount takes the object out of the bucket", async (place) => {
  const { t, server, top, shell, objects } = place;
  const local = await localFolder(t);
  await server.put(`${top}/cold`, bytes(5_000_000));
  await shell("mkdir tree; printf a > tree/a; printf b > b");
  await shell(`mv cold b tree ${quoted(local)}; ls -A`);
  t.deepEqual(await objects(), []);
  t.true((await readFile(path.join(local, "cold"))).equals(bytes(5_000_000)));
  t.is(await shell(`cat ${quoted(local)}/tree/a ${quoted(local)}/b`), "ab");
});

behaviour("mv of a tree into the mount keeps everything in it", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  const tree = path.join(local, "tree");
  await shell(`mkdir ${quoted(tree)}`);
  await fillWithSamples(tree, place);
  const expected = await treeIn(tree, "mode and time");
  await shell(`mv ${quoted(tree)} .`);
  t.deepEqual(await treeIn(mountPath("tree"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "tree", "mode and time"), expected);
  t.deepEqual(await treeIn(local), {});
});
