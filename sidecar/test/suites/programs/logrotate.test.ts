// logrotate: logs of the mount are put aside while a program goes on writing them.

import { behaviours } from "../../helpers/settings.ts";
import { comesToBe } from "../../programs/trees.ts";

const behaviour = behaviours();

/** Rotates by the given rules, whether it is time for it or not. logrotate wants its rules for nobody else to write. */
const rotate = (rules: string): string => `
  printf '"%s/app.log" {\\n${rules}\\n}\\n' "$PWD" > rules; chmod 644 rules
  rotate() { /usr/sbin/logrotate --force --state state rules; }; `;

behaviour(
  "logrotate renames the log and makes a new one with the owner and mode it is told",
  async (place) => {
    const { t, shell, object, objects } = place;
    await shell(`chmod 755 .; ${rotate("rotate 2\\ncreate 0640 root root\\nsu root root")}
    for i in 1 2 3 4; do echo line $i >> app.log; rotate; done; echo line 5 >> app.log`);
    t.deepEqual(await objects(), ["app.log", "app.log.1", "app.log.2", "rules", "state"]);
    t.deepEqual(
      [await object("app.log"), await object("app.log.1"), await object("app.log.2")],
      ["line 5\n", "line 4\n", "line 3\n"],
    );
    t.is(await shell("stat -c '%a %U' app.log"), "640 root\n");
  },
);

behaviour("logrotate with copytruncate, under a program that keeps the log open", async (place) => {
  const { t, shell, object, objects } = place;
  await shell(`chmod 755 .; ${rotate("rotate 3\\ncopytruncate\\nsu root root")}
    exec 9>> app.log; for i in 1 2 3; do echo line $i >&9; rotate; done; echo line 4 >&9; exec 9>&-`);
  t.deepEqual(await objects(), ["app.log", "app.log.1", "app.log.2", "app.log.3", "rules", "state"]);
  t.is(await object("app.log"), "line 4\n");
  t.is(await shell("cat app.log.3 app.log.2 app.log.1"), "line 1\nline 2\nline 3\n");
});

behaviour("logrotate compresses, and a program that is told opens the log anew", async (place) => {
  const { t, shell, objects } = place;
  const said = await shell(`chmod 755 .
    ${rotate('rotate 4\\ncompress\\ncreate\\nsu root root\\npostrotate\\nkill -HUP $(cat "$PWD"/app.pid)\\nendscript').replaceAll('$(cat "$PWD"/app.pid)', "APP")}
    (trap 'exec 9>> app.log; echo opened >&9' HUP; exec 9>> app.log; while [ ! -e stop ]; do echo line >&9; sleep 0.05; done) & app=$!
    sed -i "s/APP/$app/" rules; chmod 644 rules
    for i in 1 2; do sleep 1; rotate; done; sleep 1; touch stop; wait
    for log in app.log.2.gz app.log.1.gz; do zcat $log | sort -u; done; sort -u app.log; rm stop`);
  t.is(said, "line\nline\nopened\nline\nopened\n");
  await comesToBe(t, objects, ["app.log", "app.log.1.gz", "app.log.2.gz", "rules", "state"]);
});
