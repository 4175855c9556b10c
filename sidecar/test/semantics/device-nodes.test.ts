// Device nodes, FIFOs and sockets: kept as what they are; device nodes are kept only.

import test from "ava";
import { onEachChannel, shell } from "../helpers/mounted.ts";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours();
const eachChannel = onEachChannel(test);

behaviour("a device node shows the number it was made with", async ({ t, shell: run, objects }) => {
  const seen = await run(`mknod c c 1 3; mknod b b 259 100000; chmod 640 b c
    stat -c '%n %F %t:%T %a' c b; find . -type c; find . -type b`);
  t.is(seen, "c character special file 1:3 640\nb block special file 103:186a0 640\n./c\n./b\n");
  t.deepEqual(await objects(), ["b", "c"]);
});

behaviour("opening a device node is refused: the mount is nodev", async ({ t, shell: run }) => {
  const seen = await run(`mknod null c 1 3; cat null 2>&1 || true; (echo x > null) 2>&1 || true`);
  t.is(seen.match(/Permission denied/g)?.length, 2, seen);
});

behaviour("cp and tar carry device nodes along, and a rename keeps them", async ({ t, shell: run }) => {
  const seen =
    await run(`mknod c c 5 1; cp -a c d; mkdir e f; cp -a c e/; tar cf t.tar -C e c; tar xf t.tar -C f; mv f/c g
    stat -c '%n %t:%T' c d e/c g`);
  t.is(seen, "c 5:1\nd 5:1\ne/c 5:1\ng 5:1\n");
});

eachChannel("device nodes, FIFOs and sockets are there after a remount", async (t, channel) => {
  const { mount } = await channel.session(t);
  await shell(
    mount,
    `mknod c c 10 229; mknod b b 8 1; mkfifo p
     python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")'; chmod 600 b c p s`,
  );
  const list = "stat -c '%n %F %t:%T %a' b c p s";
  const before = await shell(mount, list);
  await mount.restart();
  t.is(await shell(mount, list), before);
  t.is(
    before,
    "b block special file 8:1 600\nc character special file a:e5 600\np fifo 0:0 600\ns socket 0:0 600\n",
  );
});
