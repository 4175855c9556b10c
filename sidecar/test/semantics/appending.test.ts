// Appending: only what is new goes up, nothing comes down, and no line is lost, whoever else appends.

import anyTest, { type TestFn } from "ava";
import { setTimeout as delay } from "node:timers/promises";
import { BUCKET, BucketServer } from "../helpers/bucket-server.ts";
import { mounted, python, session, shell, SETTINGS } from "../helpers/mounted.ts";
import { behaviours } from "../helpers/settings.ts";

const MIB = 1 << 20;
const HOUR_MS = 3_600_000;
const TAILS = ".sidemount.tmp/tails/";
const test = anyTest as TestFn;
const behaviour = behaviours();

/** Bytes that went to the bucket and came from it, and the kinds of request. */
async function traffic(server: BucketServer): Promise<{ calls: string; sent: number; received: number }> {
  const requests = await server.requests();
  return {
    calls: requests.map(({ method }) => method.replace("storage.objects.", "")).join(" "),
    sent: requests.reduce((sum, { requestBytes }) => sum + requestBytes, 0),
    received: requests.reduce((sum, { responseBytes }) => sum + responseBytes, 0),
  };
}

for (const { name, options } of SETTINGS) {
  test.serial(`${name}: a line appended to a large object that was never read goes up alone`, async (t) => {
    const { server, mount } = await session(t, options);
    const base = Buffer.alloc(10 * MIB, "0123456789abcde\n");
    await server.put("log", base);
    await server.age(HOUR_MS);
    await shell(mount, "stat log");
    await server.forgetRequests();
    await shell(mount, "echo one more line >> log");
    await delay(300);
    const { calls, sent, received } = await traffic(server);
    t.is(calls, "insert compose delete");
    t.true(sent < 5000 && received < 10_000, `${sent} bytes sent, ${received} received`);
    const whole = Buffer.concat([base, Buffer.from("one more line\n")]);
    t.true((await server.get("log"))?.equals(whole), "the bucket has both");
    t.is(await shell(mount, "tail -c 30 log"), whole.subarray(-30).toString());
    t.is(await shell(mount, "cat log | sha256sum"), await shell(mount, "cat log | sha256sum"));
    t.deepEqual(await server.names(TAILS), [], "nothing is left behind");
  });

  test.serial(`${name}: two mounts that append to one log lose no line`, async (t) => {
    const server = await BucketServer.start(t);
    await server.put("log", Buffer.alloc(2 * MIB, "base line 12345\n"));
    const mounts = [await mounted(t, server, options), await mounted(t, server, options)];
    const lines = mounts.map((mount, number) =>
      shell(mount, `for i in $(seq 15); do echo "mount ${number} line $i" >> log; done`),
    );
    await Promise.all(lines);
    const text = (await server.get("log"))?.toString() ?? "";
    for (const number of [0, 1])
      for (let line = 1; line <= 15; line += 1)
        t.is(text.split(`mount ${number} line ${line}\n`).length, 2, `mount ${number} line ${line}, once`);
    t.is(text.length, 2 * MIB + 2 * (9 * 15 + 6 * 16), "and nothing else");
  });
}

behaviour(
  "what a program appends, it reads back at once, also before it closes",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/log`, Buffer.alloc(2 * MIB, "x"));
    const said = await python(`
f = open("log", "ab+", buffering=0)
f.write(b"tail"); f.seek(-6, 2); print(f.read())
import os; os.fsync(f.fileno()); f.write(b"more"); f.seek(0); print(len(f.read()), os.fstat(f.fileno()).st_size)
`);
    t.is(said, `b'xxtail'\n${2 * MIB + 8} ${2 * MIB + 8}\n`);
  },
);

behaviour(
  "who writes before the old end has the file sent as a whole",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/log`, Buffer.alloc(2 * MIB, "x"));
    await python(`
a = open("log", "ab", buffering=0); a.write(b"tail")
e = open("log", "r+b", buffering=0); e.write(b"HEAD"); a.write(b"!"); a.close(); e.close()
`);
    const bytes = await server.get(`${top}/log`);
    t.is(bytes?.length, 2 * MIB + 5);
    t.is(bytes?.subarray(0, 6).toString(), "HEADxx");
    t.is(bytes?.subarray(-6).toString(), "xtail!");
  },
);

behaviour(
  "an append that follows an edit through a mapping is no mere append",
  async ({ t, server, top, python, setting }) => {
    if (setting === "native") return void t.pass(); // no mapping of what others opened: docs/CHANNELS.md
    await server.put(`${top}/log`, Buffer.alloc(2 * MIB, "x"));
    await python(`
import mmap
fd = os.open("log", os.O_RDWR)
mapped = mmap.mmap(fd, 0); os.close(fd)
mapped[0:4] = b"EDIT"
with open("log", "ab") as log: log.write(b"tail")
mapped[4:8] = b"MORE"
mapped.flush(); mapped.close()
with open("log", "ab") as log: log.write(b"end")
`);
    const bytes = await server.get(`${top}/log`);
    t.is(bytes?.length, 2 * MIB + 7);
    t.is(bytes?.subarray(0, 10).toString(), "EDITMORExx");
    t.is(bytes?.subarray(-8).toString(), "xtailend");
  },
);

behaviour("RULES 8: an append whose answer is lost is not done twice", async ({ t, server, top, shell }) => {
  await server.put(`${top}/log`, Buffer.alloc(2 * MIB, "x"));
  await shell("stat log");
  await server.faults({
    method: "storage.objects.compose",
    name: `${top}/log`,
    action: "lost-answer",
    count: 1,
  });
  await shell("echo line >> log");
  await server.clearFaults();
  t.is((await server.get(`${top}/log`))?.length, 2 * MIB + 5);
});

behaviour("many processes append to one log through one mount", async ({ t, server, top, shell }) => {
  await server.put(`${top}/log`, Buffer.alloc(2 * MIB, "x"));
  await shell(
    `stat log; for p in 1 2 3 4; do (for i in 1 2 3 4 5; do echo "p$p l$i" >> log; done) & done; wait`,
  );
  const text = (await server.get(`${top}/log`))?.toString() ?? "";
  t.is(text.length, 2 * MIB + 20 * 6);
  for (const process of [1, 2, 3, 4])
    for (const line of [1, 2, 3, 4, 5]) t.is(text.split(`p${process} l${line}\n`).length, 2);
});

behaviour(
  "a thousand small writes to an open log share their uploads",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/log`, Buffer.alloc(2 * MIB, "x"));
    await python("os.stat('log')");
    await python(`
import threading
def write():
    fd = os.open("log", os.O_WRONLY | os.O_APPEND)
    for i in range(250): os.write(fd, b"line\\n")
    os.fsync(fd); os.close(fd)
threads = [threading.Thread(target=write) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
`);
    const composes = (await server.requests()).filter(
      ({ method, object }) => method === "storage.objects.compose" && object === `${top}/log`,
    );
    t.true(
      composes.length <= 8,
      `${composes.length} appends for 1,000 writes by four programs, each with fsync and close`,
    );
    t.is((await server.get(`${top}/log`))?.length, 2 * MIB + 5000);
  },
);

behaviour(
  "who keeps a log open appends behind what somebody else has put in its place",
  async ({ t, server, mount, top, python }) => {
    const name = `${top}/log`;
    await server.put(name, Buffer.alloc(2 * MIB, "x"));
    const put = `import urllib.request
def put(data): urllib.request.urlopen(urllib.request.Request("${server.url}/upload/storage/v1/b/${BUCKET}/o?uploadType=media&name=${name}", data=data, method="POST")).read()`;
    const said = await python(`
${put}
fd = os.open("log", os.O_WRONLY | os.O_APPEND)
os.write(fd, b"one"); os.fsync(fd)
put(b"theirs")
os.write(fd, b"two"); os.fsync(fd)
put(b"theirs again")
os.write(fd, b"three"); os.close(fd)
print(open("log").read())
`);
    t.is(said, "theirs againthree\n");
    const warned = mount.lines.filter(
      ({ message, object }) => object === name && String(message).startsWith("what was appended goes behind"),
    );
    t.is(warned.length, 2, "and it is said in the log each time");
  },
);

test("a large file that is cut while its new end is being sent stays cut", async (t) => {
  const { server, mount } = await session(t);
  await server.put("log", Buffer.alloc(2 * MIB, "x"));
  await shell(mount, "stat log");
  await server.latency(400);
  await python(
    mount,
    `import os, threading, time
log = os.open("log", os.O_RDWR | os.O_APPEND)
os.write(log, b"tail")
closing = threading.Thread(target=os.close, args=[os.dup(log)]); closing.start()
time.sleep(0.6); os.ftruncate(log, 1000); closing.join()
os.ftruncate(log, 5000)
assert os.pread(log, 9000, 0) == b"x" * 1000 + bytes(4000)
os.close(log)`,
  );
  await server.latency(0);
  t.true((await server.get("log"))?.equals(Buffer.concat([Buffer.alloc(1000, "x"), Buffer.alloc(4000)])));
});

behaviour(
  "a file that is written as a whole replaces another writer's version, also where it was synced in between",
  async ({ t, server, top, python, object, objects }) => {
    const name = `${top}/file`;
    await python(`
import urllib.request
f = open("file", "wb", buffering=0)
f.write(b"a" * ${2 * MIB}); os.fsync(f.fileno())
urllib.request.urlopen(urllib.request.Request("${server.url}/upload/storage/v1/b/${BUCKET}/o?uploadType=media&name=${name}", data=b"theirs", method="POST")).read()
f.write(b"bbb"); f.close()
`);
    t.true((await object("file")) === `${"a".repeat(2 * MIB)}bbb`);
    t.deepEqual(await objects(), ["file"]);
  },
);

behaviour(
  "what is written behind the end by its position is an edit: it never goes behind another writer's version",
  async ({ t, server, top, python, object, objects }) => {
    const name = `${top}/file`;
    await server.put(name, Buffer.alloc(2 * MIB, "a"));
    const said = await python(`
import urllib.request
f = os.open("file", os.O_RDWR)
os.pwrite(f, b"bbb", ${2 * MIB})
urllib.request.urlopen(urllib.request.Request("${server.url}/upload/storage/v1/b/${BUCKET}/o?uploadType=media&name=${name}", data=b"theirs", method="POST")).read()
try: os.close(f)
except OSError as error: print(error.strerror)
`);
    t.is(said, "Stale file handle\n");
    t.is(await object("file"), "theirs");
    const [, conflict = ""] = await objects();
    t.true((await object(conflict)) === `${"a".repeat(2 * MIB)}bbb`, "both are kept");
  },
);

behaviour(
  "a mode that is taken back goes along with an append",
  async ({ t, server, top, shell, python }) => {
    const name = `${top}/log`;
    await server.put(name, Buffer.alloc(2 * MIB, "x"), { "goog-reserved-posix-mode": "600" });
    await server.put(`${top}/usual`, "");
    const mode = (await shell("stat -c %a usual")).trim();
    await python(`
log = os.open("log", os.O_WRONLY | os.O_APPEND)
os.write(log, b"line"); os.fchmod(log, 0o${mode}); os.close(log)
`);
    t.is((await server.stat(name))?.metadata?.["goog-reserved-posix-mode"], undefined);
  },
);

/** What follows `os` in a program that loses the answers of an append: `fail()` from now on, `mend()` again. */
const losing = (server: BucketServer, name: string, first: string): string => `
import os, json, urllib.request
def ask(method, path, data=None):
    urllib.request.urlopen(urllib.request.Request("${server.url}" + path, data=data, method=method, headers={} if data is None else {"content-type": "application/json"})).read()
def fail():
    compose = {"method": "storage.objects.compose", "name": "${name}"}
    look = {"method": "storage.objects.get", "name": "${name}", "action": "return-503"}
    ask("POST", "/admin/faults", json.dumps([{**compose, "action": "${first}", "count": 1}, {**compose, "action": "return-503"}, look]).encode())
def mend(): ask("DELETE", "/admin/faults")
log = os.open("log", os.O_WRONLY | os.O_APPEND)
def fsync():
    try: os.fsync(log); return "ok"
    except OSError as error: return error.strerror
`;

for (const [first, arrived] of [
  ["lost-answer", true],
  ["return-503", false],
] as const) {
  test.serial(
    `RULES 8: after an append whose outcome is unknown, ${arrived ? "done" : "not done"}, each line is there once`,
    async (t) => {
      const { server, mount } = await session(t);
      await server.put("log", Buffer.alloc(2 * MIB, "x"));
      const said = await python(
        mount,
        `${losing(server, "log", first)}
os.write(log, b"one "); fail(); print(fsync()); os.write(log, b"two "); mend(); print(fsync())
os.write(log, b"three "); os.close(log)`,
      );
      t.is(said, "Input/output error\nok\n");
      t.is((await server.get("log"))?.subarray(2 * MIB).toString(), "one two three ");
      t.deepEqual(await server.names(), ["log"]);
    },
  );
}

test.serial("RULES 8: also if somebody else has appended meanwhile", async (t) => {
  const server = await BucketServer.start(t);
  await server.put("log", Buffer.alloc(2 * MIB, "x"));
  const [mount, other] = [await mounted(t, server), await mounted(t, server)];
  const said = await python(
    mount,
    `import subprocess
other = subprocess.Popen(["sh", "-c", "read go; printf 'theirs ' >> ${other.path("log")}"], stdin=subprocess.PIPE)
${losing(server, "log", "lost-answer")}
os.write(log, b"one "); fail(); print(fsync()); os.write(log, b"two "); mend()
other.communicate(b"go\\n"); print(fsync()); os.write(log, b"three "); os.close(log)`,
  );
  t.is(said, "Input/output error\nok\n");
  t.is((await server.get("log"))?.subarray(2 * MIB).toString(), "one theirs two three ");
});

test("the folder for tails cannot be seen or made", async (t) => {
  const { server, mount } = await session(t);
  await server.put(`${TAILS}something`, "x");
  t.is(await shell(mount, "ls -A"), "");
  t.is(
    await shell(mount, "stat .sidemount.tmp 2>&1 || true"),
    "stat: cannot statx '.sidemount.tmp': No such file or directory\n",
  );
  t.regex(await shell(mount, "mkdir .sidemount.tmp 2>&1 || true"), /Operation not permitted/);
});
