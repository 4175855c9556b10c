// Folders and names on a flat bucket: as everywhere, and how folders are kept there.

import { setTimeout as delay } from "node:timers/promises";
import { behaviours } from "../helpers/settings.ts";
import { folderBehaviours } from "./common/folders.ts";

const behaviour = behaviours();
folderBehaviours(behaviour);

behaviour("an empty folder stays, as an object whose name ends in a slash", async ({ t, shell, objects }) => {
  await shell("mkdir -p a/b");
  t.deepEqual(await objects(), ["a/", "a/b/"]);
  await shell("mv a z");
  t.deepEqual(await objects(), ["z/", "z/b/"]);
});

behaviour(
  "folders that exist only by their contents show up, and do not vanish with the last file",
  async ({ t, server, top, shell, objects }) => {
    await server.put(`${top}/albums/2019/cat.jpg`, "cat");
    t.is(await shell("cat albums/2019/cat.jpg; ls albums"), "cat2019\n");
    await shell("rm albums/2019/cat.jpg");
    t.is(await shell("ls -d albums/2019"), "albums/2019\n");
    t.deepEqual(await objects(), ["albums/2019/"]);
  },
);

behaviour(
  "the mode of a folder is stored, also of one whose own object has not been seen in all that is in it",
  async ({ t, server, top, shell }) => {
    await server.put(`${top}/d/`, "");
    await Promise.all(Array.from({ length: 250 }, (_, i) => server.put(`${top}/d/!${i}`, "x")));
    await shell("chmod 700 d");
    await delay(2500);
    t.is((await server.stat(`${top}/d/`))?.metadata?.["goog-reserved-posix-mode"], "700");
  },
);

behaviour(
  "permissions of a folder that others made reach its object, also where the folder is larger than a look",
  async ({ t, server, top, shell }) => {
    await server.put(`${top}/big/`, "", { owner: "me" });
    const names = Array.from({ length: 260 }, (_, i) => `${top}/big/${i}`);
    await Promise.all(names.map((name) => server.put(name, "")));
    await shell("chmod 700 big");
    const metadata = async () => (await server.stat(`${top}/big/`))?.metadata ?? {};
    for (
      let waited = 0;
      waited < 100 && (await metadata())["goog-reserved-posix-mode"] === undefined;
      waited += 1
    )
      await delay(100);
    t.like(await metadata(), { "goog-reserved-posix-mode": "700", owner: "me" });
    t.is(await shell("ls big | wc -l; stat -c %a big"), "260\n700\n");
  },
);
