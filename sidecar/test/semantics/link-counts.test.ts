// Link counts: of folders, two and one for each folder in them, where that is known.

import { stat } from "node:fs/promises";
import { behaviours } from "../helpers/settings.ts";

const HOUR_MS = 3_600_000;

let rounds = 0;
const behaviour = behaviours();

behaviour(
  "a folder made here counts the folders in it, as they come, go, move in and move out",
  async ({ t, python }) => {
    const seen = await python(`
n = lambda *names: [os.stat(name).st_nlink for name in names]
os.mkdir("d"); counts = n("d"); os.mkdir("d/a"); os.mkdir("d/b"); open("d/f","w").close(); counts += n("d", "d/a")
os.rename("d/a", "d/c"); counts += n("d"); os.mkdir("e"); os.rename("d/b", "e/b"); counts += n("d", "e")
os.mkdir("e/c"); os.rename("d/c", "e/c"); counts += n("d", "e"); os.rmdir("e/c"); counts += n("e"); print(counts)`);
    t.is(seen, "[2, 4, 2, 4, 3, 3, 2, 4, 3]\n");
  },
);

behaviour(
  "a folder that is larger than a look says 1 until it was listed",
  async ({ t, server, top, path }) => {
    const names = Array.from({ length: 260 }, (_, i) => `${top}/big/${i % 10}/${i}`);
    await Promise.all(names.map((name) => server.put(name, "")));
    t.is((await stat(path("big"))).nlink, 1);
  },
);

behaviour(
  "a listed folder of another machine counts its folders, and find finds what is in them",
  async ({ t, server, top, shell }) => {
    const names = Array.from({ length: 260 }, (_, i) => `${top}/big/${i % 10}/${i}`);
    await Promise.all(names.map((name) => server.put(name, "")));
    await server.age((rounds += 1) * HOUR_MS); // so that the kernel may keep for long what it was told before
    t.is(await shell("stat -c %h big"), "1\n");
    t.is(await shell("ls big | wc -l; stat -c %h big big/7; find big -type f | wc -l"), "10\n12\n2\n260\n");
  },
);

behaviour(
  "a folder known to have none in it counts what was made in it elsewhere, once that was seen",
  async ({ t, server, top, shell }) => {
    await server.put(`${top}/d/f`, "");
    await server.age((rounds += 1) * HOUR_MS);
    t.is(await shell("ls d; stat -c %h d"), "f\n2\n");
    await server.put(`${top}/d/sub/g`, "");
    t.is(await shell("ls d/sub; stat -c %h d"), "g\n3\n");
  },
);

behaviour("a file has one link, and none once it was removed", async ({ t, python }) => {
  const seen = await python(`
f = open("f","w"); n = os.fstat(f.fileno()).st_nlink; os.unlink("f"); print(n, os.fstat(f.fileno()).st_nlink); f.close()`);
  t.is(seen, "1 0\n");
});
