// zip and unzip: archives made on the mount, changed in place, and unpacked into it.

import { behaviours } from "../helpers/settings.ts";
import { comesToBe, fillWithSamples, localFolder, quoted, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

behaviour("zip packs a tree of the mount, and anybody can unpack the object", async (place) => {
  const { t, server, top, path: mountPath, shell } = place;
  const local = await localFolder(t);
  await shell("mkdir tree");
  await fillWithSamples(mountPath("tree"), place);
  await shell("cd tree; zip -qry ../archive.zip .");
  const archive = (await server.get(`${top}/archive.zip`)) ?? Buffer.alloc(0);
  t.is(archive.length, Number(await shell("stat -c %s archive.zip")));
  await shell(
    `cp archive.zip ${quoted(local)}; cd ${quoted(local)}; mkdir out; cd out; unzip -q ../archive.zip`,
  );
  t.deepEqual(await treeIn(`${local}/out`), await treeIn(mountPath("tree")));
});

behaviour("zip updates, adds to and deletes from an archive that is there", async ({ t, shell, objects }) => {
  const said = await shell(`
    for i in 1 2 3; do seq $((i * 1000)) > $i; done
    touch -d '1 minute ago' 1 2; zip -q a.zip 1 2 # what is updated must be newer by a second, on any disk
    seq 5 > 1; zip -q -u a.zip 1 3; zip -q -d a.zip 2; zip -q -0 a.zip 2
    unzip -tq a.zip; unzip -Z1 a.zip | sort; unzip -p a.zip 1 | tail -n 1`);
  t.is(said, "No errors detected in compressed data of a.zip.\n1\n2\n3\n5\n");
  await comesToBe(t, objects, ["1", "2", "3", "a.zip"]);
});

behaviour("unzip unpacks with modes and links, and over what is there", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  await shell(`mkdir ${quoted(local)}/tree`);
  await fillWithSamples(`${local}/tree`, place);
  const unpack = `
    mkdir out; cd out; unzip -q ${quoted(local)}/a.zip
    echo other > plain.txt; rm empty; unzip -qo ${quoted(local)}/a.zip; touch -d '2001-01-01 UTC' sub/deeper sub .`;
  await shell(`cd ${quoted(local)}/tree; zip -qry ../a.zip .; cd ..; ${unpack}`);
  await shell(unpack);
  const expected = await treeIn(`${local}/out`, "mode and time");
  t.deepEqual(await treeIn(mountPath("out"), "mode and time"), expected);
  await comesToBe(t, () => treeInBucket(place, "out", "mode and time"), expected);
});
