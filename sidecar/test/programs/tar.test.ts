// tar: archives made on the mount and of the mount, and unpacked into it.

import path from "node:path";
import { behaviours } from "../helpers/settings.ts";
import { comesToBe, fillWithSamples, localFolder, quoted, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

behaviour("tar extracts into the mount; modes, times and links are kept", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  const tree = path.join(local, "tree");
  await shell(`mkdir ${quoted(tree)}`);
  await fillWithSamples(tree, place);
  await shell(`
    tar -C ${quoted(tree)} --format=posix -czf ${quoted(local)}/a.tar.gz .
    mkdir out; tar -C out -xpzf ${quoted(local)}/a.tar.gz
    tar -C out --compare -zf ${quoted(local)}/a.tar.gz`);
  const expected = await treeIn(tree, "mode and time");
  t.deepEqual(await treeIn(mountPath("out"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "out", "mode and time"), expected);
});

behaviour("tar extracts over what is there", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  const tree = path.join(local, "tree");
  await shell(`mkdir ${quoted(tree)}`);
  await fillWithSamples(tree, place);
  await shell(
    `tar -C ${quoted(tree)} --format=posix -cf ${quoted(local)}/a.tar .; cp -r ${quoted(tree)} out`,
  );
  await shell(`echo different > out/plain.txt; rm out/empty; tar -C out -xpf ${quoted(local)}/a.tar`);
  const expected = await treeIn(tree, "mode and time");
  t.deepEqual(await treeIn(mountPath("out"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "out", "mode and time"), expected);
});

behaviour("tar creates and extends an archive on the mount, from files on it", async (place) => {
  const { t, server, top, path: mountPath, shell, objects } = place;
  const local = await localFolder(t);
  await shell("mkdir tree");
  await fillWithSamples(mountPath("tree"), place);
  const expected = await treeIn(mountPath("tree"), "mode and time");
  await shell(
    "tar --format=posix -cf archive.tar tree; echo late > late; tar -rf archive.tar late; rm -r late tree",
  );
  t.deepEqual(await objects(), ["archive.tar"]);
  // What counts is what anybody else can unpack from the object.
  const archive = (await server.get(`${top}/archive.tar`)) ?? Buffer.alloc(0);
  t.is(archive.length, Number((await shell("stat -c %s archive.tar")).trim()));
  await shell(`cp archive.tar ${quoted(local)}; cd ${quoted(local)}; tar -xpf archive.tar; cat late`);
  t.deepEqual(await treeIn(path.join(local, "tree"), "mode and time"), expected);
});

behaviour("tar through a pipe copies a tree from the mount to the mount", async (place) => {
  const { t, path: mountPath, shell } = place;
  await shell("mkdir from to");
  await fillWithSamples(mountPath("from"), place);
  await shell("tar --format=posix -C from -c . | tar -C to -xp");
  const expected = await treeIn(mountPath("from"), "mode and time");
  t.deepEqual(await treeIn(mountPath("to"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "to", "mode and time"), expected);
});
