// What is slow, or never answered, is waited for by those who asked for it, and by nobody else.

import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { startFaultProxy } from "../../bucket/fault-proxy.fixture.ts";
import { BucketServer } from "../helpers/bucket-server.ts";
import { onEachChannel, shell, type Mount } from "../helpers/mounted.ts";

const eachChannel = onEachChannel(test.serial);

const HOUR_MS = 3_600_000;
const OTHERS = 20;

/** Runs a script in the mount in a process group of its own; answers when all of it has ended. */
function start(mount: Mount, script: string) {
  const child = spawn("bash", ["-c", script], { cwd: mount.directory, detached: true, stdio: "ignore" });
  const ended = once(child, "exit");
  return {
    send: (signal: NodeJS.Signals) => process.kill(-(child.pid ?? 0), signal),
    ended: async () => void (await ended),
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
  };
}

eachChannel(
  "a download and a look-up that stall hold up no other name, not in their folder either",
  async (t, channel) => {
    const server = await BucketServer.start(t);
    const proxy = await startFaultProxy(server.url);
    t.teardown(() => proxy.close());
    const mount = await channel.mounted(t, { url: proxy.url } as BucketServer, ["--deadline", "8s"]);
    for (let other = 0; other < OTHERS; other += 1) await server.put(`d/other-${other}`, `bytes of ${other}`);
    for (const name of ["stalled", "large"]) await server.put(`d/${name}`, Buffer.alloc(3 << 20));
    await server.put("e/f", "f");
    await server.age(HOUR_MS);
    for (const known of ["d/other-0", "e/f"]) await stat(mount.path(known));
    proxy.strike({ fault: { kind: "swallow" }, line: /^GET \S*%2F(stalled|large|unknown)/ });
    // In the protocol that libfuse 2 speaks look-ups in one folder wait for each other.
    const unknown = channel.name === "device" ? "d/unknown" : "e/unknown";
    const stalled = ["cat d/stalled", "head -c 1 d/large", `stat ${unknown}`].map((words) =>
      start(mount, `exec ${words}`),
    );
    await delay(500);
    t.true(proxy.struck() >= 3, "all of them wait");
    const begunMs = performance.now();
    let slowestMs = 0;
    for (let other = 0; other < OTHERS; other += 1) {
      const oneMs = performance.now();
      t.is(await readFile(mount.path(`d/other-${other}`), "utf8"), `bytes of ${other}`);
      slowestMs = Math.max(slowestMs, performance.now() - oneMs);
    }
    t.is((await readdir(mount.path("d"))).length, OTHERS + 2);
    await server.put("elsewhere/new", "new");
    t.is(await readFile(mount.path("elsewhere/new"), "utf8"), "new");
    await writeFile(mount.path("d/other-0"), "written");
    const tookMs = performance.now() - begunMs;
    t.log(
      `${OTHERS} reads, a listing and a write in ${Math.round(tookMs)} ms, the slowest read ${Math.round(slowestMs)} ms`,
    );
    t.true(
      stalled.every(({ running }) => running),
      "and those still wait",
    );
    t.true(tookMs < 4_000 && slowestMs < 1_000);
    proxy.clear();
    await Promise.all(stalled.map((each) => each.ended()));
    t.is((await readFile(mount.path("d/stalled"))).length, 3 << 20);
  },
);

eachChannel("twenty readers of one cold object cause one download", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  for (const [name, size] of [
    ["small", 600_000],
    ["medium", 5_000_000],
  ] as const) {
    const bytes = Buffer.alloc(size, name);
    await server.put(name, bytes);
    await server.age(HOUR_MS);
    await stat(mount.path(name));
    await server.forgetRequests();
    await server.faults({ method: "storage.objects.get", name, action: "stall-for-1s-after-64K", count: 1 });
    const sums = await shell(mount, `for i in $(seq 20); do sha256sum ${name} & done; wait`);
    t.is(new Set(sums.trim().split("\n")).size, 1);
    t.is(sums.trim().split("\n").length, 20);
    const downloads = (await server.requests()).filter(
      ({ method, responseBytes }) => method === "storage.objects.get" && responseBytes > 10_000,
    );
    t.is(downloads.length, 1, name);
    t.is(downloads[0]?.responseBytes, size);
  }
});

eachChannel(
  "programs that are interrupted or killed while nothing answers leave a mount that works",
  async (t, channel) => {
    const { server, mount } = await channel.session(t, ["--deadline", "3s"]);
    for (const name of ["cold", "cold-2", "removed", "from", "kept"])
      await server.put(`d/${name}`, Buffer.alloc(2 << 20, name));
    await server.age(HOUR_MS);
    await stat(mount.path("d/cold"));
    const calls = [
      "cat d/cold",
      "head -c 1 d/cold-2",
      "ls d/unknown",
      "stat unknown/unknown",
      "dd if=/dev/zero of=d/made bs=1M count=3",
      "bash -c 'echo more >> d/kept'",
      "rm d/removed",
      "mv d/from d/to",
      "mkdir d/folder",
    ];
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      server.child.kill("SIGSTOP");
      const started = calls.map((words) => start(mount, `exec ${words}`));
      await delay(700);
      for (const each of started) if (each.running) each.send(signal);
      const begunMs = Date.now();
      await Promise.all(started.map((each) => each.ended()));
      const goneMs = Date.now() - begunMs;
      t.log(`${signal}: the last was gone after ${goneMs} ms`);
      t.true(goneMs < 15_000, "a few calls of three seconds each, one after the other in one folder");
      server.child.kill("SIGCONT");
      await server.stat("d/cold");
      // Whoever was not told, or not told for certain, may have been served or not; whoever asks now is.
      await until(async () => (await readFile(mount.path("d/cold"))).length === 2 << 20);
      t.true((await readdir(mount.path("d"))).includes("kept"));
      await writeFile(mount.path("d/after"), signal);
      t.is((await server.get("d/after"))?.toString(), signal);
      await t.throwsAsync(stat(mount.path("d/unknown")), { code: "ENOENT" });
      await shell(
        mount,
        "cat d/cold-2 > /dev/null; echo x > d/x; mv d/x d/y; rm d/y; mkdir -p d/more; rmdir d/more",
      );
    }
    t.is(await mount.stop(), 0);
  },
);

/** What is away for a moment longer than its probe is asked again. */
async function until(done: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 8_000; ; await delay(100)) {
    if (await done().catch(() => false)) return;
    if (Date.now() > endMs) throw new Error("not within 8 s");
  }
}
