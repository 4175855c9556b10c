import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import test, { type ExecutionContext } from "ava";

import { BUCKET, BucketServer, end, startLogging } from "../../sidecar/test/helpers/bucket-server.ts";
import { session } from "../../sidecar/test/helpers/mounted.ts";
import { containerOf, podsOf, rendered } from "./helpers/chart.ts";
import { runProgram } from "./helpers/cloud.ts";
import { temporaryFolder } from "./helpers/folder.ts";

test("the chart's probes ask the mount and not the bucket, see when it is dead, and never hang", async (t) => {
  const { mount, server } = await session(t);
  const sidemount = containerOf(
    podsOf(await rendered(t, { sidemount: { serve: false } }), "acme"),
    "sidemount",
  );
  const probes = [sidemount.startupProbe, sidemount.readinessProbe, sidemount.livenessProbe];
  const [first] = probes;
  for (const probe of probes) t.deepEqual(probe?.exec, first?.exec);
  const command =
    first?.exec.command.map((word) => word.replaceAll("/mnt/sidemount/uploads", mount.directory)) ?? [];
  const probe = async (): Promise<{ alive: boolean; seconds: number }> => {
    const started = performance.now();
    const { status } = await runProgram(command[0] ?? "", command.slice(1));
    return { alive: status === 0, seconds: (performance.now() - started) / 1000 };
  };

  await server.forgetRequests();
  for (let count = 0; count < 3; count += 1) t.true((await probe()).alive);
  t.deepEqual(await server.requests(), []);

  const worker = await mount.worker();
  process.kill(worker, "SIGSTOP");
  const hung = await probe();
  process.kill(worker, "SIGCONT");
  t.false(hung.alive);
  // Killed after 4 s; kubelet waits for 5.
  t.true(hung.seconds < (first?.timeoutSeconds ?? 0), `${hung.seconds} s`);
  t.true((await probe()).alive);

  await mount.kill();
  t.false((await probe()).alive, "both processes are gone, the dead mount is still there");
  await mount.detach();
  t.false((await probe()).alive, "nothing is mounted");
});

// A mount namespace of its own with the folder bound into it as Kubernetes does: read-only, and what is mounted
// below it on the host appears in it.
async function appOf(t: ExecutionContext, shared: string): Promise<(script: string) => Promise<string>> {
  const view = temporaryFolder(t, "view");
  const script = `mount --rbind "${shared}" "${view}" && mount -o remount,bind,ro "${view}" && echo ready && exec sleep 1000`;
  const child = spawn("unshare", ["--mount", "--propagation", "slave", "sh", "-c", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => end(child, "SIGKILL"));
  await once(child.stdout, "data");
  return async (command) => {
    const words = ["--mount", `--target=${child.pid}`, "sh", "-c", command];
    const { status, stdout, stderr } = await runProgram("nsenter", words, {
      env: { ...process.env, V: view },
    });
    return status === 0 ? stdout : `failed: ${stderr}`;
  };
}

test("an app with the folder read-only writes to the bucket, before and after the mount is made anew, and nowhere else", async (t) => {
  const server = await BucketServer.start(t);
  const shared = temporaryFolder(t, "shared");
  t.teardown(() => runProgram("umount", ["--recursive", "--lazy", shared]));
  await runProgram("mount", ["-t", "tmpfs", "-o", "size=64k", "shared", shared]);
  await runProgram("mount", ["--make-shared", shared]);
  const uploads = path.join(shared, "uploads");
  mkdirSync(uploads, { mode: 0o555 });
  const words = [
    "mount",
    BUCKET,
    uploads,
    "--endpoint",
    server.url,
    "--state-dir",
    temporaryFolder(t, "state"),
  ];
  const start = async (): Promise<() => Promise<unknown>> => {
    const { child } = await startLogging(words, ({ message }) => (message === "mounted" ? true : undefined));
    t.teardown(async () => void (await end(child)));
    return () => end(child);
  };

  const early = await appOf(t, shared);
  const stop = await start();
  const late = await appOf(t, shared);
  t.is(await early("echo a >$V/uploads/early.txt && cat $V/uploads/early.txt"), "a\n");
  t.is(await late("echo b >$V/uploads/late.txt && cat $V/uploads/early.txt"), "a\n");
  t.deepEqual(await server.names(), ["early.txt", "late.txt"]);
  for (const app of [early, late]) t.regex(await app("echo x >$V/beside"), /Read-only file system/);

  await stop();
  for (const app of [early, late]) t.regex(await app("echo x >$V/uploads/lost"), /Read-only file system/);
  t.notThrows(
    () => writeFileSync(path.join(shared, "beside"), "x"),
    "it is the app's view that is read-only",
  );

  await start();
  for (const app of [early, late])
    t.is(await app("echo c >$V/uploads/again.txt && cat $V/uploads/late.txt"), "b\n");
  t.deepEqual(await server.names(), ["again.txt", "early.txt", "late.txt"]);
});
