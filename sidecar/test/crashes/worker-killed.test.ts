// The worker is killed again and again while programs work in the folder: they notice nothing but a pause.

import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { servedSession, SETTINGS, type Mount } from "../helpers/mounted.ts";
import { startWebServer } from "../helpers/web-server.ts";
import { Visitors } from "./visitors.ts";

const LOAD = fileURLToPath(new URL("./load.py", import.meta.url));
/** How often; `npm run crash` asks for more. */
const KILLS = Number(process.env["SIDEMOUNT_TEST_KILLS"] ?? 8);
/** Between two kills, at least and at most: the next worker must be at work. */
const PAUSE_MS = [700, 2500] as const;

interface Report {
  readonly calls: Record<string, number>;
  readonly failures: readonly string[];
  readonly pauses: Record<string, number>;
  readonly files: number;
  readonly wrong: readonly string[];
  readonly held: boolean;
  readonly log: boolean;
  readonly manifest: Record<string, string>;
}

for (const { name, options } of SETTINGS.slice(0, 2)) {
  test.serial(
    `${name}: RULES 18: a worker that is killed is followed by another, and no call fails`,
    async (t) => {
      const seconds = KILLS * 1.8 + 4;
      t.timeout((seconds + 120) * 1000);
      const { server, mount } = await servedSession(t, options);
      const folders = { served: mount.serveDirectory };
      const { url } = await startWebServer(t, { uploads: mount.directory, folders, accessLog: false });
      const visitors = await Visitors.come(server, mount, [`${url}/uploads`, `${url}/served`]);
      const program = spawn("/usr/bin/python3", [LOAD, mount.directory, String(seconds)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      t.teardown(() => program.kill("SIGKILL"));
      const lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
      t.is((await lines.next()).value, "ready");
      let kills = 0;
      const endMs = Date.now() + (seconds - 2) * 1000;
      while (kills < KILLS && Date.now() < endMs) {
        await delay(PAUSE_MS[0] + Math.random() * (PAUSE_MS[1] - PAUSE_MS[0]));
        // Where the machine is slow there may be none just now: the next one is being started.
        if (!(await mount.killWorker())) continue;
        kills += 1;
        // Three in a row that die before they serve end the mount (RULES 21).
        const took = takeovers(mount).length;
        for (
          let looks = 0;
          early(kills, mount) && looks < 200 && took === takeovers(mount).length;
          looks += 1
        )
          await delay(50);
      }
      const report = JSON.parse(String((await lines.next()).value)) as Report;
      await once(program, "close").catch(() => undefined);
      const { answers, wrong } = await visitors.leave();
      t.log(`${answers} answers of nginx`);
      t.deepEqual(wrong, []);
      t.true(answers > kills);
      const worstMs = Math.round(Math.max(...Object.values(report.pauses)) * 1000);
      const total = Object.values(report.calls).reduce((sum, count) => sum + count, 0);
      t.log(`${kills} kills, ${total} calls, longest pause ${worstMs} ms; ${JSON.stringify(report.calls)}`);
      t.deepEqual(report.failures, []);
      t.deepEqual(report.wrong, []);
      t.true(report.held, "what was written through an open file and a mapping is there");
      t.true(report.log, "every appended line is there once");
      t.true(kills >= Math.min(KILLS, 5));
      // Some die before they serve: a kill may meet one that is just taking over.
      const took = takeovers(mount);
      t.log(`${took.length} took over, in ms: ${took.map(({ ms }) => String(ms)).join(" ")}`);
      t.true(took.length >= kills / 2);
      t.is(await mount.stop(), 0);
      for (const [object, digest] of Object.entries(report.manifest)) {
        const bytes = (await server.get(object)) ?? Buffer.alloc(0);
        t.is(createHash("sha256").update(bytes).digest("hex"), digest, object);
      }
    },
  );
}

function takeovers({ lines }: Mount): Record<string, unknown>[] {
  return lines.filter(({ message }) => message === "another worker serves");
}

/** Whether the last two that were killed had not served yet. */
function early(kills: number, mount: Mount): boolean {
  return kills - takeovers(mount).length >= 2;
}
