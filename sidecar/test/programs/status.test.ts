// What is told about mounts, also about those that are in trouble.

import test from "ava";
import { randomBytes } from "node:crypto";
import { open, readFile, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { asked, sidemount } from "../helpers/command.ts";
import { onEachChannel, servedSession, session } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

interface Status {
  readonly directory: string;
  readonly answers: boolean;
  readonly bucket: string;
  readonly supervisorPid: number;
  readonly workerPid: number;
  readonly channel: string;
  readonly since: string;
  readonly openFiles: number;
  readonly owed: { readonly uploads: number; readonly patches: number };
  readonly kept: { readonly failed: number };
  readonly cache: { readonly usedBytes: number; readonly limitBytes: number };
  readonly disk: { readonly freeBytes: number; readonly reserveBytes: number };
  readonly lastError: { readonly kind: string; readonly at: string } | null;
  readonly message?: string;
}

eachChannel(
  "status tells what is mounted, open, owed and cached, and what last went wrong",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--cache-size", "64MiB"]);
    await writeFile(mount.path("f"), randomBytes(100_000));
    await readFile(mount.path("f"));
    const file = await open(mount.path("f"));
    const [status] = await asked<Status[]>("status", mount.directory);
    t.like(status, {
      directory: mount.directory,
      answers: true,
      bucket: "test",
      channel: channel.name,
      supervisorPid: mount.child.pid,
      workerPid: await mount.worker(),
      openFiles: 1,
      kept: { failed: 0 },
      lastError: null,
    });
    t.is(status?.cache.limitBytes, 64 << 20);
    t.true((status?.disk.freeBytes ?? 0) > 0);
    t.true(Math.abs(Date.parse(status?.since ?? "") - Date.now()) < 120_000);
    await file.close();
    await server.faults({ method: "storage.objects.insert", action: "return-403" });
    await t.throwsAsync(writeFile(mount.path("g"), "x"));
    const { code, stdout } = await sidemount("status", mount.directory);
    t.is(code, 0);
    for (const words of [
      /^\/.*\/mnt$/m,
      /bucket +gs:\/\/test\//,
      /last error .*forbidden/,
      /cache .* of 64 MiB/,
    ])
      t.regex(stdout, words);
  },
);

eachChannel("status without a folder lists every mount, one for readers with its own", async (t, channel) => {
  const { mount } = await channel.session(t);
  const found = (await asked<Status[]>("status")).find(({ directory }) => directory === mount.directory);
  t.like(found, { answers: true, workerPid: await mount.worker() });
});

test.serial("status of the folder for readers is that of its mount", async (t) => {
  const { mount } = await servedSession(t);
  const [status] = await asked<Status[]>("status", mount.serveDirectory);
  t.like(status, { directory: mount.directory, serveDirectory: mount.serveDirectory });
  t.is(
    (await asked<Status[]>("status")).filter(({ supervisorPid }) => supervisorPid === mount.child.pid).length,
    1,
  );
});

eachChannel("where nothing of ours is mounted, or it is dead, that is said", async (t, channel) => {
  const { mount } = await channel.session(t);
  const nothing = await sidemount("status", path.dirname(mount.directory));
  t.is(nothing.code, 1);
  t.regex(nothing.stderr, /Nothing is mounted at/);
  const foreign = await sidemount("status", "/proc");
  t.is(foreign.code, 1);
  t.regex(foreign.stderr, /\/proc is not a mount of sidemount \(proc/);
  const link = `${mount.directory}-link`;
  await symlink(mount.directory, link);
  t.is((await sidemount("status", link)).code, 0, "a link to it is followed");
  await mount.kill();
  const dead = await sidemount("pending", mount.directory);
  t.is(dead.code, 1);
  t.regex(dead.stderr, /is dead: the process that served it is gone/);
  await mount.detach();
});

eachChannel(
  "a mount that is stuck is told from one that is well, without waiting for it",
  async (t, channel) => {
    const { mount } = await channel.session(t);
    // And who would have another worker take over after ten seconds.
    const pids = [mount.child.pid ?? 0, await mount.worker()];
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    try {
      const { code, stdout } = await sidemount("status", mount.directory);
      t.is(code, 1);
      const waited = await sidemount("pending", mount.directory, "--wait", "--timeout", "1s");
      t.is(waited.code, 75, "and waited for no longer than one wants to");
      t.regex(waited.stdout, /Still waiting for the mount to answer/);
      t.regex(stdout, /does not answer: The process that serves the mount does not answer within 5 s/);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    t.is((await sidemount("status", mount.directory)).code, 0, "and answers again");
  },
);

test.serial("only the user who mounts, and root, may ask", async (t) => {
  const { mount } = await session(t);
  t.is((await sidemount("status", mount.directory)).code, 0);
  const { createHash } = await import("node:crypto");
  const name = createHash("sha256").update(mount.directory).digest("hex").slice(0, 16);
  t.is((await stat(`/run/sidemount/${name}.sock`)).mode & 0o777, 0o600);
});
