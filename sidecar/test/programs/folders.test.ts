// mv and rmdir and rm -r of folders.

import { behaviours } from "../helpers/settings.ts";
import { fillWithSamples, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();
const HUNDRED = Array.from({ length: 100 }, (_, i) => `file ${String(i).padStart(3, "0")}`);

behaviour("mv of a folder with a hundred files moves every object", async (place) => {
  const { t, path: mountPath, shell, object, objects } = place;
  await shell(`mkdir old; for i in $(seq -w 0 99); do echo $i > "old/file 0$i"; done; mv old new; ls -A`);
  t.deepEqual(await objects(), ["new/", ...HUNDRED.map((name) => `new/${name}`)]);
  t.is(await object("new/file 042"), "42\n");
  t.is(await shell("cat new/* | sha256sum"), await shell("seq -w 0 99 | sha256sum"));
  t.is(Object.keys(await treeIn(mountPath())).length, 101);
});

behaviour("mv of a folder into another one, and back under its old name", async (place) => {
  const { t, path: mountPath, shell } = place;
  await shell("mkdir tree other");
  await fillWithSamples(mountPath("tree"), place);
  const before = await treeIn(mountPath("tree"), "mode and time");
  await shell("mv tree other/");
  t.deepEqual(await treeIn(mountPath("other", "tree"), "mode and time"), before);
  t.deepEqual(Object.keys(await treeInBucket(place, "tree")), []);
  await shell("mv other/tree .; rmdir other");
  t.deepEqual(await treeIn(mountPath("tree"), "mode and time"), before);
  t.deepEqual(await treeInBucket(place), await treeIn(mountPath()));
});

behaviour("rmdir refuses a folder that is not empty", async ({ t, server, top, shell, objects }) => {
  await server.put(`${top}/implicit/below/file`, "x");
  const said = await shell("mkdir full; echo x > full/file; LC_ALL=C rmdir full implicit/below 2>&1 || true");
  t.is(
    said,
    "rmdir: failed to remove 'full': Directory not empty\n" +
      "rmdir: failed to remove 'implicit/below': Directory not empty\n",
  );
  t.deepEqual(await objects(), ["full/", "full/file", "implicit/below/file"]);
});

behaviour("rm -r takes a whole tree out of the bucket", async (place) => {
  const { t, path: mountPath, shell, objects } = place;
  await shell("mkdir tree kept; echo x > kept/x");
  await fillWithSamples(mountPath("tree"), place);
  t.is(await shell("rm -r tree; ls -A"), "kept\n");
  t.deepEqual(await objects(), ["kept/", "kept/x"]);
});
