// RENAME_EXCHANGE: two names swap what they stand for, in one step as seen through the mount.

import test from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { BUCKET } from "../helpers/bucket-server.ts";
import { python, session } from "../helpers/mounted.ts";
import { behaviours, type Place } from "../helpers/settings.ts";

/** `exchange(a, b)` answers the name of the errno, or "ok". */
const EXCHANGE = `
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def exchange(a, b):
    done = libc.renameat2(-100, a.encode(), -100, b.encode(), 2)
    return "ok" if done == 0 else errno.errorcode[ctypes.get_errno()]
`;
const declare = behaviours();

/** On the native channel it is refused: libfuse 2 knows no flags of rename (docs/CHANNELS.md). */
function behaviour(sentence: string, act: (place: Place) => Promise<void>): void {
  declare(sentence, async (place) => {
    if (place.setting !== "native") return act(place);
    place.t.is(
      await place.python(
        `${EXCHANGE}open("a", "w").close(); open("b", "w").close(); print(exchange("a", "b"))`,
      ),
      "EINVAL\n",
    );
  });
}

behaviour(
  "two files swap names, with their attributes and inode numbers",
  async ({ t, python, object, objects }) => {
    const said = await python(`${EXCHANGE}
open("a", "w").write("one"); open("b", "w").write("two!"); os.chmod("a", 0o600)
before = os.stat("a").st_ino
print(exchange("a", "b"), open("a").read(), open("b").read(), oct(os.stat("b").st_mode & 0o777), os.stat("b").st_ino == before)
`);
    t.is(said, "ok two! one 0o600 True\n");
    t.is(await object("a"), "two!");
    t.is(await object("b"), "one");
    t.deepEqual(await objects(), ["a", "b"], "nothing is left behind");
  },
);

behaviour(
  "a file that is open and being written goes on under its new name",
  async ({ t, python, object }) => {
    await python(`${EXCHANGE}
open("b", "w").write("two")
f = open("a", "w"); f.write("one"); f.flush()
assert exchange("a", "b") == "ok"
f.write(" and more"); f.close()
assert open("a").read() == "two"
`);
    t.is(await object("a"), "two");
    t.is(await object("b"), "one and more");
  },
);

behaviour("a file and a symbolic link swap places, also across folders", async ({ t, python, object }) => {
  const said = await python(`${EXCHANGE}
os.mkdir("below"); os.symlink("target", "below/link"); open("file", "w").write("file")
print(exchange("file", "below/link"), os.readlink("file"), open("below/link").read())
`);
  t.is(said, "ok target file\n");
  t.is(await object("below/link"), "file");
});

behaviour("a missing name is ENOENT, a folder EINVAL, and nothing changes", async ({ t, python }) => {
  const said = await python(`${EXCHANGE}
open("a", "w").write("one"); os.mkdir("d"); os.mkdir("e")
print(exchange("a", "nothing"), exchange("a", "d"), exchange("d", "e"), exchange("a", "a"), sorted(os.listdir()))
`);
  t.is(said, "ENOENT EINVAL EINVAL ok ['a', 'd', 'e']\n");
});

for (const afterMs of [200, 500, 900]) {
  test(`an exchange that a crash breaks off after ${afterMs} ms has happened or not after the next start`, async (t) => {
    const { server, mount } = await session(t);
    await server.put("a", "one");
    await server.put("b", "two");
    await python(mount, "import os; os.stat('a'); os.stat('b')");
    await server.latency(300);
    const broken = python(mount, `${EXCHANGE}exchange("a", "b")`).catch(() => undefined);
    await delay(afterMs);
    await mount.kill();
    await server.latency(0);
    await broken;
    await mount.start();
    const both = [(await server.get("a"))?.toString(), (await server.get("b"))?.toString()].join(" ");
    t.true(both === "one two" || both === "two one", both);
    t.deepEqual(await server.names(), ["a", "b"], "nothing is left behind");
  });
}

test("an exchange that meets a version nobody here had seen exchanges that one", async (t) => {
  const { server, mount } = await session(t);
  await server.put("a", "one");
  await server.put("b", "two");
  await server.age(3_600_000); // trusted for a while from now on
  const url = `${server.url}/upload/storage/v1/b/${BUCKET}/o?uploadType=media&name=b`;
  const said = await python(
    mount,
    `${EXCHANGE}
import os, urllib.request
os.stat("a"); os.stat("b")
urllib.request.urlopen(urllib.request.Request("${url}", data=b"theirs", method="POST")).read()
print(exchange("a", "b"))`,
  );
  t.is(said, "ok\n", "ESTALE made the kernel look again");
  t.is((await server.get("a"))?.toString(), "theirs");
  t.is((await server.get("b"))?.toString(), "one");
  t.deepEqual(await server.names(), ["a", "b"]);
});

behaviour(
  "two files of one size and second are told apart by their times afterwards",
  async ({ t, python }) => {
    const said = await python(`${EXCHANGE}
import time
while True:
    open("a", "w").write("one"); open("b", "w").write("two")
    seconds = [int(os.stat(name).st_mtime) for name in "ab"]
    if seconds[0] == seconds[1]: break
print(exchange("a", "b"), all(int(os.stat(name).st_mtime) != seconds[0] for name in "ab"))
`);
    t.is(said, "ok True\n");
  },
);

test("an exchange whose last answer is lost has happened, and what is open goes on under its new name", async (t) => {
  const { server, mount } = await session(t);
  await server.put("a", "one");
  await server.put("b", "two");
  await server.faults({ method: "storage.objects.move", action: "lost-answer", count: 1 });
  const said = await python(
    mount,
    `${EXCHANGE}
f = open("a", "r+"); f.write("ONE"); f.flush()
print(exchange("a", "b"))
f.write(" more"); f.close()`,
  );
  t.is(said, "ok\n");
  t.is((await server.get("a"))?.toString(), "two");
  t.is((await server.get("b"))?.toString(), "ONE more");
});

test("an exchange that fails is undone: what is written to an open file afterwards replaces its own bytes only", async (t) => {
  const { server, mount } = await session(t);
  await server.put("b", "two");
  const said = await python(
    mount,
    `${EXCHANGE}
import json, os, time, urllib.request
def ask(method, data=None):
    urllib.request.urlopen(urllib.request.Request("${server.url}/admin/faults", data=data, method=method, headers={} if data is None else {"content-type": "application/json"})).read()
os.stat("b")
f = open("a", "w"); f.write("one"); f.flush(); os.fsync(f.fileno())
ask("POST", json.dumps([{"method": "storage.objects.move", "action": "return-503"}]).encode())
print(exchange("a", "b"))
ask("DELETE"); time.sleep(7)
f.write(" and more"); f.close()`,
  );
  t.is(said, "EIO\n");
  t.is((await server.get("a"))?.toString(), "one and more");
  t.is((await server.get("b"))?.toString(), "two");
  t.deepEqual(await server.names(), ["a", "b"]);
});

test("no bytes are lost where somebody else writes after a crash in the middle of an exchange", async (t) => {
  const { server, mount } = await session(t);
  await server.put("a", "one");
  await server.put("b", "two");
  await server.faults({ method: "storage.objects.move", action: "return-503" });
  const broken = python(mount, `${EXCHANGE}exchange("a", "b")`).catch(() => undefined);
  while ((await server.get("a"))?.toString() !== "two") await delay(20);
  await mount.kill();
  await broken;
  await server.clearFaults();
  await server.put("b", "theirs");
  await mount.start();
  const names = await server.names();
  const bytes = await Promise.all(names.map(async (name) => (await server.get(name))?.toString()));
  t.true(bytes.includes("one"), `${names.join(" ")}: ${bytes.join(" ")}`);
  t.is((await server.get("b"))?.toString(), "theirs");
});
