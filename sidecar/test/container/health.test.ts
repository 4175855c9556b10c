// The health check: it says when something is wrong, and is never caught by it.

import test from "ava";

import { eventually, type Container } from "./container.ts";
import { siteOfFile } from "./site.ts";

const site = siteOfFile();

// As often as an engine can, so that nobody waits for it.
const often = ["--health-interval=1s", "--health-retries=1", "--health-start-period=0s"];

async function turns(container: Container, wanted: string): Promise<string> {
  const health = await eventually(`health is ${wanted}`, async () => {
    const { Health } = await container.state();
    return Health?.Status === wanted ? Health : undefined;
  });
  return health.Log.at(-1)?.Output.trim() ?? "";
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) process.kill(pid, name);
}

async function pidsOf(container: Container, pattern: RegExp): Promise<number[]> {
  return (await container.processes()).filter(({ command }) => pattern.test(command)).map(({ pid }) => pid);
}

test.serial("a demo that serves is healthy", async (t) => {
  const { container } = await site().demo({ flags: often });
  t.is(await turns(container, "healthy"), "");
});

test.serial(
  "a mount that does not answer is found out within seconds, by one process however often it is asked",
  async (t) => {
    const { container } = await site().demo({ flags: often });
    await turns(container, "healthy");
    // And who would have another take over after ten seconds.
    const worker = await pidsOf(container, /sidemount (?:worker|exec)/);
    signal(worker, "SIGSTOP");
    try {
      const begin = performance.now();
      const { status, stdout } = await container.exec(["sidemount-live"]);
      t.is(status, 1);
      t.is(stdout.trim(), "the bucket mounted on /srv/demo-app/uploads does not answer");
      t.true(performance.now() - begin < 5000);
      t.regex(await turns(container, "unhealthy"), /^the bucket mounted on \S+ does not answer$/);
      for (let again = 0; again < 3; again += 1) await container.exec(["sidemount-live"]);
      await eventually("one is left", async () => {
        const waiting = await pidsOf(container, /^stat --file-system/);
        return waiting.length === 1 || undefined;
      });
    } finally {
      signal(worker, "SIGCONT");
    }
    await turns(container, "healthy");
    t.is(await container.stop(), 0);
  },
);

test.serial("an app that does not answer is found out", async (t) => {
  const { container } = await site().demo({ flags: often });
  await turns(container, "healthy");
  const app = await pidsOf(container, /gunicorn app:app/);
  signal(app, "SIGSTOP");
  try {
    t.regex(await turns(container, "unhealthy"), /does not answer/);
  } finally {
    signal(app, "SIGCONT");
  }
});

test.serial("a folder that is no mount is not live, and a path with blanks is understood", async (t) => {
  const { container } = await site().demo();
  const live = (folder: string) => container.exec(["sidemount-live", folder]);
  t.like(await live("/srv"), { status: 1, stdout: "no bucket is mounted on /srv\n" });
  t.like(await live("/srv/my folder"), { status: 1, stdout: "no bucket is mounted on /srv/my folder\n" });
  t.like(await live("/srv/demo-app/uploads/"), { status: 0, stdout: "" });
});
