// `docker stop`, and what happens when a part ends that was not to end.

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import test from "ava";

import { BucketApi } from "../../../scripts/acceptance/bucket-api.ts";
import { fileForm, request } from "../../../scripts/acceptance/http.ts";
import { sendForm, upload, view } from "../../../scripts/acceptance/visitor.ts";
import { freePorts } from "../../../scripts/demo/ports.ts";
import { Container, docker, eventually } from "./container.ts";
import { siteOfFile, type Demo } from "./site.ts";

const site = siteOfFile();
const MB = 1_000_000;

test.serial("a demo that is stopped ends with status 0, quickly, and says that it stops", async (t) => {
  const { container } = await site().demo();
  const begin = performance.now();
  t.is(await container.stop(), 0);
  t.log(`${Math.round(performance.now() - begin)} ms`);
  t.true(performance.now() - begin < 10_000);
  t.regex(container.logs().stdout, /"message":"stopping"/);
  t.notRegex(container.logs().stdout, /ended|"severity":"(WARNING|ERROR|CRITICAL)"/);
});

/** Sends a form of that many bytes at that pace. Answers with the status, undefined if the connection was cut. */
function slowly(
  url: string,
  name: string,
  content: Buffer,
  bytesPerSecond: number,
): Promise<number | undefined> {
  const { headers = {}, body = Buffer.alloc(0) } = fileForm("file", name, content);
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname === "localhost" ? "127.0.0.1" : hostname, port: Number(port) });
    let answer = "";
    const end = () => {
      const status = /^HTTP\/1\.\d (\d+)/.exec(answer)?.[1];
      resolve(status === undefined ? undefined : Number(status));
    };
    socket.setEncoding("latin1").on("data", (text: string) => (answer += text));
    socket.once("error", end).once("close", end);
    socket.write(
      `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: ${headers["content-type"]}\r\n` +
        `Content-Length: ${body.length}\r\n\r\n`,
    );
    const piece = bytesPerSecond / 10;
    void (async () => {
      for (let at = 0; at < body.length && !socket.destroyed; at += piece) {
        socket.write(body.subarray(at, at + piece));
        await sleep(100);
      }
    })();
  });
}

/** What was answered decides: a promise is kept, and without one nothing half-written is there. */
async function promiseKept(name: string, content: Buffer, status: number | undefined): Promise<string> {
  const bucket = new BucketApi(site());
  if (status === 302) {
    await bucket.mustHold(name, content);
    return "answered 302, and the bucket has it";
  }
  // Each name is used by one test only: the bucket is that of all tests here.
  if (await bucket.facts(name)) await bucket.mustHold(name, content);
  return `answered ${status ?? "nothing"}`;
}

test.serial("an upload under way when the demo is stopped is finished (X10)", async (t) => {
  const demo = await site().demo();
  const content = randomBytes(16 * MB);
  const sending = slowly(demo.publicUrl, "under way.pdf", content, 4 * MB);
  await sleep(1000);
  const stopping = demo.container.stop();
  await sleep(500);
  await t.throwsAsync(request(`${demo.publicUrl}/`), undefined, "visitors are still let in");
  const status = await sending;
  t.is(status, 302);
  t.log(await promiseKept("under way.pdf", content, status));
  t.is(await stopping, 0);
});

test.serial(
  "50 MB that the app receives when the demo is stopped arrive whole, or the visitor is told (X10)",
  async (t) => {
    // nginx takes 20 MiB at most; the app itself has no limit.
    const { app } = await freePorts();
    const demo = await site().demo({
      flags: [`--publish=127.0.0.1:${app}:5000`],
      environment: { GUNICORN_CMD_ARGS: "--bind 0.0.0.0:5000" },
    });
    const content = randomBytes(50 * MB);
    const sending = slowly(`http://127.0.0.1:${app}`, "large.pdf", content, 20 * MB);
    await sleep(1000);
    const stopping = demo.container.stop();
    const status = await sending;
    t.is(await stopping, 0);
    t.is(status, 302);
    t.log(await promiseKept("large.pdf", content, status));
  },
);

test.serial(
  "50 MB that a program writes when the demo is stopped are finished before the folder goes (X10)",
  async (t) => {
    const { container } = await site().demo();
    const script = `
import os, sys, time
with open("/srv/demo-app/uploads/written.bin", "wb") as file:
    for piece in range(50):
        file.write(bytes([piece]) * 1_000_000)
        time.sleep(0.1)
print("closed", flush=True)
`;
    const writing = container.exec(["python3", "-c", script], { user: "demo-user" });
    await sleep(1500);
    t.is(await container.stop(), 0);
    t.regex((await writing).stdout, /closed/);
    const content = Buffer.concat(Array.from({ length: 50 }, (_, piece) => Buffer.alloc(MB, piece)));
    await new BucketApi(site()).mustHold("written.bin", content);
  },
);

test.serial(
  "while the bucket takes nothing, a stop still ends within the time that is documented",
  async (t) => {
    const demo = await site().demo();
    const bucket = new BucketApi(site());
    const begin = performance.now();
    const faults = [{ method: "storage.objects.insert", action: "return-503" }];
    await bucket.withFaults(faults, async () => {
      const sending = sendForm(demo, "refused.png", randomBytes(10_000)).catch(() => undefined);
      await sleep(1000);
      const code = await demo.container.stop(60);
      const answer = await sending;
      t.log(
        `status ${code} after ${Math.round(performance.now() - begin)} ms, the visitor got ${answer?.status}`,
      );
      t.not(code, 137, "it had to be killed");
      t.not(answer?.status, 302);
    });
    t.is(await bucket.facts("refused.png"), undefined);
  },
);

/** Ends one kind of process of a demo for good. The container must end with a failure, and nothing may lie where the mount was. */
async function endsWithout(
  pattern: RegExp,
  name: string,
): Promise<{ code: number; said: string; kept: string }> {
  const demo = await site().demo();
  await upload(demo, "before.png", randomBytes(1000));
  const killing = killAgainAndAgain(demo, pattern);
  // Whoever uploads meanwhile must not be told that it is safe.
  const content = randomBytes(1000);
  const during = await sendForm(demo, name, content).catch(() => undefined);
  const code = await demo.container.ended();
  await killing;
  const kept = await promiseKept(name, content, during?.status);
  const { stdout } = demo.container.logs();
  const changed = await docker.ask(["diff", demo.container.name]);
  const below = changed.split("\n").filter((line) => line.startsWith("A /srv/demo-app/uploads/"));
  if (below.length > 0) throw new Error(`written below the mount: ${below.join(", ")}`);
  return { code, said: stdout, kept };
}

/** A worker is followed by another, which must not come to serve; others are not followed by any. */
async function killAgainAndAgain({ container }: Demo, pattern: RegExp): Promise<void> {
  const { pid: supervisor } = await container.process(/sidemount exec/);
  killIfThere((await container.process(pattern)).pid);
  const children = `/proc/${supervisor}/task/${supervisor}/children`;
  for (let left = 0; existsSync(children) && left < 6000; left += 1, await sleep(5)) {
    if (!pattern.test("sidemount worker")) continue;
    const pids = await readFile(children, "utf8").catch(() => "");
    for (const pid of pids.split(" ").filter(Boolean)) if (isWorker(pid)) killIfThere(Number(pid));
  }
}

/** By its name, which is read without waiting for whatever the process is in. */
function isWorker(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("sidemount ");
  } catch {
    return false;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

test.serial("when the mount's worker dies nobody notices (X5)", async (t) => {
  const demo = await site().demo();
  await upload(demo, "before.png", randomBytes(1000));
  const before = await demo.container.process(/sidemount worker/);
  process.kill(before.pid, "SIGKILL");
  const content = randomBytes(1000);
  t.is((await sendForm(demo, "meanwhile.png", content)).status, 302);
  await promiseKept("meanwhile.png", content, 302);
  t.is((await view(demo, "before.png")).status, 200);
  t.not((await demo.container.process(/sidemount worker/)).pid, before.pid);
  t.regex(demo.container.logs().stdout, /the worker ended; another takes over/);
  t.is(await demo.container.stop(), 0);
});

test.serial(
  "when workers keep dying the container ends with a failure, and nothing is written below (X5)",
  async (t) => {
    const { code, said, kept } = await endsWithout(/sidemount worker/, "without workers.png");
    t.log(kept);
    t.is(code, 1);
    t.regex(said, /workers keep dying before they serve/);
    t.regex(said, /the mount was lost: stopping the command/);
  },
);

test.serial("while a mount is lost no visitor is told that a file does not exist", async (t) => {
  const demo = await site().demo();
  await upload(demo, "exists.png", randomBytes(1000));
  const statuses = new Map<string, number>();
  let ended = false;
  const visiting = (async () => {
    while (!ended) {
      const answer = await view(demo, "exists.png").catch(() => undefined);
      const status = String(answer?.status ?? "none");
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  })();
  await sleep(300);
  const killing = killAgainAndAgain(demo, /sidemount worker/);
  t.is(await demo.container.ended(), 1);
  ended = true;
  await Promise.all([visiting, killing]);
  t.log([...statuses].map(([status, count]) => `${status}: ${count}`).join(", "));
  t.true(statuses.has("200"));
  t.is(statuses.get("404"), undefined);
});

test.serial("when the process that holds the mount dies the container ends with a failure", async (t) => {
  const { code, kept } = await endsWithout(/sidemount exec/, "without supervisor.png");
  t.log(kept);
  t.is(code, 137);
});

test.serial("when nginx dies the container ends with a failure and says why", async (t) => {
  const { code, said, kept } = await endsWithout(/nginx: master/, "without nginx.png");
  t.log(kept);
  t.is(code, 1);
  t.regex(said, /sidemount-demo: nginx has ended/);
});

test.serial("when the app dies the container ends with a failure and says why", async (t) => {
  const demo = await site().demo();
  const gunicorn = (await demo.container.processes()).filter(({ command }) =>
    /gunicorn app:app/.test(command),
  );
  process.kill(gunicorn[0]!.pid, "SIGKILL"); // its master is listed first
  t.is(await demo.container.ended(), 1);
  t.regex(demo.container.logs().stdout, /sidemount-demo: the app has ended/);
});

test.serial("the sidecar's image, stopped, unmounts and ends with status 0", async (t) => {
  const container = await Container.run(site().sidecar(["mount", "demo", "/mnt"]));
  t.teardown(() => container.remove());
  await eventually("the mount", () => container.logs().stdout.includes(`"message":"mounted"`) || undefined);
  t.is((await container.exec(["sidemount-live", "/mnt"])).status, 0);
  t.is(await container.stop(), 0);
});
