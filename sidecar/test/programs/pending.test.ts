// Bytes that did not reach the bucket, and what a person does about them.

import test, { type ExecutionContext } from "ava";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdtemp, open, readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { asked, sidemount } from "../helpers/command.ts";
import type { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, python, type Mount } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

interface Entry {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  readonly state: string;
  readonly why: string;
  readonly since: string | null;
  readonly superseded: string | null;
  readonly base: string | null;
  readonly missing: [number, number][] | null;
}

const listed = (mount: Mount): Promise<Entry[]> => asked<Entry[]>("pending", mount.directory);

/** The list once it is as it should be: what happens at the last close goes on after it was answered. */
async function listedOnce(mount: Mount, holds: (entries: Entry[]) => boolean): Promise<Entry[]> {
  for (let tries = 0; ; tries += 1) {
    const entries = await listed(mount);
    if (holds(entries) || tries === 50) return entries;
    await delay(100);
  }
}

/** Closes files whose upload is refused. */
async function failing(server: BucketServer, mount: Mount, files: Record<string, string>): Promise<void> {
  await server.faults({ method: "storage.objects.insert", action: "return-403" });
  for (const [name, text] of Object.entries(files)) {
    const outcome = await writeFile(mount.path(name), text).then(
      () => "stored",
      () => "refused",
    );
    if (outcome !== "refused") throw new Error(`${name} was stored`);
  }
  await server.clearFaults();
  await listedOnce(mount, (entries) =>
    Object.keys(files).every((name) => entries.some((each) => each.name === name)),
  );
}

async function folder(t: ExecutionContext): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), "sidemount-saved-"));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}

eachChannel(
  "RULES 10: a failed upload is listed with name, bytes and reason, stays there, and a retry brings it where it belongs",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    t.deepEqual(await listed(mount), []);
    await writeFile(mount.path("old"), "old");
    const { generation } = (await server.stat("old")) ?? { generation: "" };
    await failing(server, mount, { old: "newer bytes", fresh: "fresh" });
    const entries = await listed(mount);
    t.like(
      entries.map(({ name, bytes, state, base, missing }) => ({ name, bytes, state, base, missing })),
      [
        { name: "old", bytes: 11, state: "failed", base: generation, missing: [] },
        { name: "fresh", bytes: 5, state: "failed", base: "absent", missing: [] },
      ],
    );
    for (const { why, since } of entries) {
      t.regex(why, /403/);
      t.true(Math.abs(Date.parse(since ?? "") - Date.now()) < 60_000);
    }
    t.is((await server.get("old"))?.toString(), "old", "nothing is repeated by itself");
    await readFile(mount.path("old"), "utf8"); // the kernel and the tree know the old version

    const { code, stdout } = await sidemount("pending", mount.directory, "--retry");
    t.is(code, 0, stdout);
    t.regex(stdout, /old: uploaded, generation \d+\nfresh: uploaded/);
    t.is((await server.get("old"))?.toString(), "newer bytes");
    t.is(await readFile(mount.path("old"), "utf8"), "newer bytes", "the mount shows it at once");
    t.is(await readFile(mount.path("fresh"), "utf8"), "fresh");
    t.deepEqual(await listed(mount), []);
    t.regex((await sidemount("pending", mount.directory)).stdout, /Nothing is kept/);
  },
);

eachChannel("what goes with the bytes is kept as well: type, owner, mode and time", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await server.faults({ method: "storage.objects.insert", action: "return-403" });
  await python(
    mount,
    `import os
f = open("page.html", "w"); f.write("<p>"); f.flush(); os.fchmod(f.fileno(), 0o640); os.utime("page.html", (1e9, 1e9))
try: f.close()
except PermissionError: pass`,
  );
  await server.clearFaults();
  await listedOnce(mount, (entries) => entries.length === 1);
  t.is((await sidemount("pending", mount.directory, "--retry", "page.html")).code, 0);
  t.is((await server.stat("page.html"))?.contentType, "text/html");
  const status = await stat(mount.path("page.html"));
  t.is(status.mode & 0o777, 0o640);
  t.is(status.mtimeMs, 1e12);
});

eachChannel(
  "a retry does not replace what somebody else has put there, and says what it is; --replace does",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await writeFile(mount.path("f"), "first");
    await failing(server, mount, { f: "ours" });
    const theirs = await server.put("f", "theirs");
    const refused = await sidemount("pending", mount.directory, "--retry", "f");
    t.is(refused.code, 1);
    t.regex(
      refused.stdout,
      new RegExp(`not uploaded: .*generation ${theirs.generation} of f \\(6 bytes.*--replace`),
    );
    t.is((await server.get("f"))?.toString(), "theirs");
    t.is((await listed(mount)).length, 1);
    t.is((await sidemount("pending", mount.directory, "--retry", "f", "--replace")).code, 0);
    t.is((await server.get("f"))?.toString(), "ours");

    await failing(server, mount, { g: "new name" });
    await server.put("g", "new name");
    const there = await asked<{ outcome: string }[]>("pending", mount.directory, "--retry", "g");
    t.like(there, [{ outcome: "was there" }]);
    t.deepEqual(await listed(mount), []);
  },
);

eachChannel("an upload that fails again stays in the list", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await failing(server, mount, { f: "x" });
  await server.faults({ method: "storage.objects.insert", action: "return-403" });
  const { code, stdout } = await sidemount("pending", mount.directory, "--retry");
  t.is(code, 1);
  t.regex(stdout, /f: not done\. .*403/);
  t.is((await listed(mount)).length, 1);
});

eachChannel(
  "RULES 10: a later success under the same name supersedes what is kept, and the list says so",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await failing(server, mount, { f: "failed" });
    await writeFile(mount.path("f"), "stored later");
    const [entry] = await listedOnce(mount, ([each]) => each?.superseded !== null);
    t.true(Date.parse(entry?.superseded ?? "") >= Date.parse(entry?.since ?? ""));
    t.regex(
      (await sidemount("pending", mount.directory)).stdout,
      /superseded {2}f\n[^]*a later upload under this name/,
    );
    t.regex((await sidemount("pending", mount.directory, "--retry")).stderr, /nothing to do/);
    t.is((await server.get("f"))?.toString(), "stored later");
    const named = await sidemount("pending", mount.directory, "--retry", entry?.id.slice(0, 8) ?? "");
    t.is(named.code, 1, "it is based on something else");
  },
);

eachChannel("kept bytes are copied into a folder, never over anything", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await server.put("a/b", "there"); // makes the folder
  await failing(server, mount, { "a/c": "one", d: "two" });
  const to = await folder(t);
  await writeFile(path.join(to, "d"), "mine");
  const { code, stdout } = await sidemount("pending", mount.directory, "--save", to);
  t.is(code, 0, stdout);
  t.is(await readFile(path.join(to, "a/c"), "utf8"), "one");
  t.is(await readFile(path.join(to, "d"), "utf8"), "mine");
  t.is(await readFile(path.join(to, "d.1"), "utf8"), "two");
  t.is((await listed(mount)).length, 2, "they stay in the list");
  t.is((await sidemount("pending", mount.directory, "--save", to, "--only", "d")).code, 0);
  t.true(existsSync(path.join(to, "d.2")));
});

eachChannel(
  "of a large file only the end is here: the rest comes from the version it belongs to, or is named as missing",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const old = randomBytes(3 << 20);
    await server.put("log", old);
    await server.faults({ method: "storage.objects.insert", action: "return-403" });
    await t.throwsAsync(appendFile(mount.path("log"), "the end"));
    await server.clearFaults();
    const [entry] = await listedOnce(mount, ([each]) => each !== undefined);
    t.is(entry?.bytes, old.length + 7);
    t.deepEqual(entry?.missing, [[0, old.length]]);

    const to = await folder(t);
    const saved = await sidemount("pending", mount.directory, "--save", to);
    t.is(saved.code, 0, saved.stdout);
    t.deepEqual(await readFile(path.join(to, "log")), Buffer.concat([old, Buffer.from("the end")]));
    await server.put("log", "replaced");
    const refused = await sidemount("pending", mount.directory, "--save", to);
    t.is(refused.code, 1);
    t.regex(
      refused.stdout,
      new RegExp(`bytes 0-${old.length - 1} are missing, and the bucket no longer has the version`),
    );
    t.deepEqual(await readdir(to), ["log"]);
    t.deepEqual(
      (await readdir(path.join(mount.stateDirectory, "copies"))).filter((name) => name.endsWith(".whole")),
      [],
      "nothing is left of it",
    );
  },
);

eachChannel("a retry of a large file with a new end uploads all of it", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  const old = randomBytes(3 << 20);
  await server.put("log", old);
  await server.faults({ method: "storage.objects.insert", action: "return-403" });
  await t.throwsAsync(appendFile(mount.path("log"), "the end"));
  await server.clearFaults();
  await listedOnce(mount, ([each]) => each !== undefined);
  t.is((await sidemount("pending", mount.directory, "--retry")).code, 0);
  t.deepEqual(await server.get("log"), Buffer.concat([old, Buffer.from("the end")]));
});

eachChannel(
  "what is discarded is gone, after a question that needs somebody to answer it",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await failing(server, mount, { f: "x", g: "y" });
    const unanswered = await sidemount("pending", mount.directory, "--discard", "--all");
    t.is(unanswered.code, 2);
    t.regex(unanswered.stderr, /Nobody is there to confirm[^]*--yes/);
    t.is((await sidemount("pending", mount.directory, "--discard")).code, 2, "of what?");
    t.is(
      (await sidemount("pending", mount.directory, "--discard", "other", "--yes")).code,
      2,
      "no such entry",
    );
    t.is((await listed(mount)).length, 2);
    t.is((await sidemount("pending", mount.directory, "--discard", "f", "--yes")).code, 0);
    t.deepEqual(
      (await listed(mount)).map(({ name }) => name),
      ["g"],
    );
    t.is((await sidemount("pending", mount.directory, "--discard", "--all", "--yes")).code, 0);
    t.deepEqual(await readdir(path.join(mount.stateDirectory, "copies")), []);
  },
);

eachChannel(
  "--wait ends when the bucket has what was changed, or when its time is up",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await writeFile(mount.path("f"), "x");
    await python(mount, `import os; os.chmod("f", 0o600)`); // gathered for a second
    const waited = await sidemount("pending", mount.directory, "--wait");
    t.is(waited.code, 0, waited.stderr);
    t.is((await server.stat("f"))?.metadata?.["goog-reserved-posix-mode"], "600");
    await server.faults({ method: "storage.objects.insert", action: "return-503" });
    // Another process: of this one, those that it starts could inherit the file, and then close it before they run.
    const writing = python(mount, 'open("slow", "w").write("x")');
    while (!(await server.requests()).some(({ object }) => object === "slow")) await delay(50);
    const late = await sidemount("pending", mount.directory, "--wait", "--timeout", "1s");
    await server.clearFaults();
    t.is(late.code, 75);
    t.regex(late.stdout, /Still waiting for 1 upload/);
    await writing;
    t.is((await sidemount("pending", mount.directory, "--wait")).code, 0);
  },
);

eachChannel(
  "without a mount the state folder is asked, which nobody else may be using",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await failing(server, mount, { f: "kept", g: "kept too" });
    const used = await sidemount("pending", "--state-dir", mount.stateDirectory);
    t.is(used.code, 1);
    t.regex(used.stderr, /is in use by process \d+/);
    await mount.stop();
    const entries = await asked<Entry[]>("pending", "--state-dir", mount.stateDirectory);
    t.deepEqual(
      entries.map(({ name }) => name),
      ["f", "g"],
    );
    const to = await folder(t);
    t.is(
      (await sidemount("pending", "--state-dir", mount.stateDirectory, "--save", to, "--only", "f")).code,
      0,
    );
    t.is(await readFile(path.join(to, "f"), "utf8"), "kept");
    const retried = await sidemount("pending", "--state-dir", mount.stateDirectory, "--retry", "g");
    t.is(retried.code, 0, retried.stderr);
    t.is((await server.get("g"))?.toString(), "kept too");
    const none = await sidemount("pending", "--state-dir", path.join(mount.stateDirectory, "other"));
    t.regex(none.stderr, /There is no state folder at/);
    t.false(existsSync(path.join(mount.stateDirectory, "other")), "looking makes none");
    await mount.start();
    t.deepEqual(
      (await listed(mount)).map(({ name }) => name),
      ["f"],
      "the next mount has the same list",
    );
  },
);

eachChannel(
  "RULES 10: bytes that were being written at a kill are unfinished, and a retry stores them",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const file = await open(mount.path("half"), "w");
    await file.write("half a sentence");
    await delay(200);
    await mount.kill();
    await file.close().catch(() => undefined);
    await mount.detach();
    await mount.start();
    t.like(await listed(mount), [{ name: "half", state: "unfinished", bytes: 15, base: "absent" }]);
    t.is((await sidemount("pending", mount.directory, "--retry", "half")).code, 0);
    t.is((await server.get("half"))?.toString(), "half a sentence");
  },
);

eachChannel(
  "what had reached the bucket, or had no name any more, is not reported after a kill",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    await server.put("log", randomBytes(3 << 20));
    const log = await open(mount.path("log"), "a");
    await log.write("one line\n");
    await log.sync();
    const edited = await open(mount.path("edited"), "w");
    await edited.write("stored");
    await edited.sync();
    const temporary = await open(mount.path("temporary"), "w+");
    await temporary.write("bytes for nobody else");
    await unlink(mount.path("temporary"));
    await delay(300); // the native channel carries that out a little later
    await mount.kill();
    for (const each of [log, edited, temporary]) await each.close().catch(() => undefined);
    await mount.detach();
    await mount.start();
    t.deepEqual(await listed(mount), []);
    t.false(mount.lines.some(({ message }) => String(message).includes("may not have reached")));
  },
);

eachChannel(
  "what was appended after the last upload is reported after a kill, and can be stored",
  async (t, channel) => {
    const { server, mount } = await channel.session(t);
    const old = randomBytes(3 << 20);
    await server.put("log", old);
    const log = await open(mount.path("log"), "a");
    await log.write("stored ");
    await log.sync();
    await log.write("not stored");
    await delay(300);
    await mount.kill();
    await log.close().catch(() => undefined);
    await mount.detach();
    await mount.start();
    t.like(await listed(mount), [{ name: "log", state: "unfinished", bytes: old.length + 17 }]);
    const { code, stdout } = await sidemount("pending", mount.directory, "--retry");
    t.is(code, 0, stdout);
    t.deepEqual(await server.get("log"), Buffer.concat([old, Buffer.from("stored not stored")]));
  },
);
