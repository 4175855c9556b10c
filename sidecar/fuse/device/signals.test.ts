// RULES 25: what signals do to programs that wait for us.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

import test, { type ExecutionContext } from "ava";

import { type MemoryMount, memoryMount } from "../fixtures/memory-mount.ts";

const run = promisify(execFile);

/** Starts a Python program that says "ready" before it does what takes long. */
async function program(t: ExecutionContext, script: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn("python3", ["-u", "-c", script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

async function until(mount: MemoryMount, event: string): Promise<void> {
  for (;;) {
    const events = (await mount.ask({ ask: "events" })) as string[];
    if (events.includes(event)) return;
    await delay(10);
  }
}

/** How long the process takes to be gone after `signal`, and how it ended. */
async function end(child: ChildProcess, signal: NodeJS.Signals) {
  const start = performance.now();
  child.kill(signal);
  const [code, by] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return { afterMs: performance.now() - start, code, by };
}

const READ = `import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("ready")
os.read(fd, 10)`;

test("a reader that waits for us is gone at once when it is killed", async (t) => {
  const mount = await memoryMount(t);
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    const name = `slow-read-30000-${signal}`;
    await fs.writeFile(mount.path(name), "x");
    const reader = await program(t, READ, mount.path(name));
    await until(mount, `slow read ${name}`);
    await delay(50);
    const { afterMs, by } = await end(reader, signal);
    t.is(by, signal);
    t.true(afterMs < 10_000, `${signal} took ${afterMs} ms`);
  }
});

const LOOK = `import os, sys, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
print("ready")
os.stat(sys.argv[1])`;

test("a look-up whose program is killed is given up", async (t) => {
  const mount = await memoryMount(t);
  const child = await program(t, LOOK, mount.path("slow-lookup-30000"));
  await until(mount, "slow lookup slow-lookup-30000");
  const { afterMs, by } = await end(child, "SIGKILL");
  t.is(by, "SIGKILL");
  t.true(afterMs < 10_000, `took ${afterMs} ms`);
  await until(mount, "interrupted lookup slow-lookup-30000");
});

test("a look-up killed after a harmless signal is given up, although the kernel says nothing more", async (t) => {
  const mount = await memoryMount(t);
  const child = await program(t, LOOK, mount.path("slow-lookup-30000"));
  await until(mount, "slow lookup slow-lookup-30000");
  child.kill("SIGUSR1");
  await delay(250);
  t.is(child.exitCode, null);
  const { afterMs } = await end(child, "SIGKILL");
  t.true(afterMs < 10_000, `took ${afterMs} ms`);
  await until(mount, "interrupted lookup slow-lookup-30000");
});

test("RULES 25: signals with a handler do not fail a slow read", async (t) => {
  const mount = await memoryMount(t);
  await fs.writeFile(mount.path("slow-read-400"), "content");
  const script = `import os, signal, sys
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, handler)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
print("ready")
with open(sys.argv[1], "rb", buffering=0) as f:
    data = os.read(f.fileno(), 10)
signal.setitimer(signal.ITIMER_REAL, 0)
assert count > 0
print(data.decode())`;
  const { stdout } = await run("python3", ["-c", script, mount.path("slow-read-400")]);
  t.is(stdout, "ready\ncontent\n");
});

for (const name of ["slow-flush-600", "fail-flush"] as const) {
  const outcome = name === "fail-flush" ? "its own error" : "success";
  test(`RULES 25: close answers ${outcome} under a hail of signals (${name})`, async (t) => {
    const mount = await memoryMount(t);
    const script = `import os, signal, sys
for number in (signal.SIGALRM, signal.SIGUSR1):
    signal.signal(number, lambda *_: None)
    signal.siginterrupt(number, True)
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(fd, b"x")
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
try:
    os.close(fd)
    print("closed")
except OSError as error:
    print(error.errno)
signal.setitimer(signal.ITIMER_REAL, 0)`;
    const { stdout } = await run("python3", ["-c", script, mount.path(name)]);
    t.is(stdout.trim(), name === "fail-flush" ? "116" : "closed");
    const events = (await mount.ask({ ask: "events" })) as string[];
    t.is(events.includes(`flushed ${name}`), name !== "fail-flush");
  });
}

const CLOSE = `import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(fd, b"x")
print("ready")
os.close(fd)`;

test("RULES 25: a process killed while it closes a file is gone at once, and what it closed is finished", async (t) => {
  const mount = await memoryMount(t);
  const writer = await program(t, CLOSE, mount.path("slow-flush-5000"));
  await until(mount, "slow flush slow-flush-5000");
  await delay(50);
  const { afterMs, by } = await end(writer, "SIGKILL");
  t.is(by, "SIGKILL");
  t.true(afterMs < 4000, `took ${afterMs} ms`);
  t.false(((await mount.ask({ ask: "events" })) as string[]).includes("flushed slow-flush-5000"));
  await until(mount, "flushed slow-flush-5000");
});

test("RULES 25: a process killed with a file open is gone at once, although its close comes when no signal reaches it", async (t) => {
  const mount = await memoryMount(t);
  const script = CLOSE.replace("os.close(fd)", "import time\ntime.sleep(60)");
  const writer = await program(t, script, mount.path("slow-flush-5000"));
  const { afterMs } = await end(writer, "SIGKILL");
  t.true(afterMs < 4000, `took ${afterMs} ms`);
  await until(mount, "flushed slow-flush-5000");
});

test("a process that ends by itself with a file open waits for the close", async (t) => {
  const mount = await memoryMount(t);
  const script = CLOSE.replace("os.close(fd)", "os._exit(0)");
  await run("python3", ["-c", script, mount.path("slow-flush-500")]);
  t.true(((await mount.ask({ ask: "events" })) as string[]).includes("flushed slow-flush-500"));
});

test("a program that becomes another one with a file open does not stop the mount for the others", async (t) => {
  const mount = await memoryMount(t);
  await fs.writeFile(mount.path("other"), "");
  // Python opens close-on-exec: the kernel sends FLUSH in the middle of exec.
  const script = CLOSE.replace("os.close(fd)", `os.execv("/bin/true", ["true"])`);
  const becoming = await program(t, script, mount.path("slow-flush-2000"));
  await until(mount, "slow flush slow-flush-2000");
  await delay(500); // it has been looked at whether it is being killed
  await fs.stat(mount.path("other"));
  t.is(becoming.exitCode, null);
  await once(becoming, "exit");
  await until(mount, "flushed slow-flush-2000");
});
