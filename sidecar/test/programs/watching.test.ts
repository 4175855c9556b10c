// inotify: programs that watch a folder of the mount see what this machine does in it.

import { behaviours } from "../helpers/settings.ts";
import { localFolder, quoted } from "./trees.ts";

const behaviour = behaviours();

const CHANGES = `
  echo one > made; echo two >> made; touch -d '2001-01-01 UTC' made; chmod 600 made; cat made > /dev/null
  mv made moved; cp moved copied; mv copied moved; mkdir sub; sleep 1; echo x > sub/inner; mv sub other
  ln -s moved link; truncate -s 1 moved; rm other/inner link moved; rmdir other`;

/** Watches the current folder while \`CHANGES\` happen in it; prints each event of it. */
const WATCH = (log: string): string => `
  inotifywait -q -m -r --format '%w%f %e' -e modify,attrib,close_write,move,create,delete . > ${log} 2>&1 & watcher=$!
  for try in $(seq 100); do touch probe; sleep 0.1; grep -q probe ${log} && break; done
  rm probe; sleep 0.5; lines=$(wc -l < ${log})
  ${CHANGES}
  sleep 1; kill $watcher; wait $watcher || true; tail -n +$((lines + 1)) ${log}`;

behaviour("inotifywait sees the same events as on a disk", async ({ t, shell }) => {
  const local = await localFolder(t);
  const onMount = await shell(WATCH(quoted(`${local}/mount.log`)));
  const onDisk = await shell(
    `mkdir ${quoted(local)}/watched; cd ${quoted(local)}/watched; ${WATCH(quoted(`${local}/disk.log`))}`,
  );
  t.true(onDisk.includes("./moved MOVED_TO"), onDisk);
  t.deepEqual(onMount.split("\n"), onDisk.split("\n"));
});

behaviour("inotify of a file tells of a write and of its end", async ({ t, shell }) => {
  const said = await shell(`
    echo 1 > file; inotifywait -q -t 30 -e close_write --format %e file & sleep 1; echo 2 >> file; wait`);
  t.is(said, "CLOSE_WRITE,CLOSE\n");
});
