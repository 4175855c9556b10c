// `nginx`: what a web server loses when the files it hands out are on a mount instead of on the disk.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { BucketServer } from "../test/helpers/bucket-server.ts";
import type { Cleaning } from "../test/helpers/cleanups.ts";
import { mounted, SERVE_DIRECTORY } from "../test/helpers/mounted.ts";
import { startWebServer } from "../test/helpers/web-server.ts";
import { verdict, type Benchmark } from "./benchmark.ts";
import { median } from "./measure.ts";

const run = promisify(execFile);

const HOUR_MS = 3_600_000;
/** Longer than a copy takes to come to rest after its last close. */
const SETTLE_MS = 600;
const SECONDS = 4;
const CONNECTIONS = 8;

const GOALS = { serve: 0.9, app: 0.25 } as const;

interface Page {
  readonly title: string;
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
}

const PAGES: readonly Page[] = [
  { title: "200 files of 4 KB", folder: "small", files: 200, bytes: 4000 },
  { title: "one file of 100 KB", folder: "large", files: 1, bytes: 100_000 },
];

/** Where nginx reads: the same files on the disk, on the serve mount, and on the app's mount. */
interface Site {
  readonly disk: string;
  readonly serve: string;
  readonly app: string;
  /** Asks for a page of one side for some seconds; requests per second. */
  readonly requestsPerSecond: (side: Side, page: Page) => Promise<number>;
}
type Side = "disk" | "serve" | "app";
const SIDES: readonly Side[] = ["disk", "serve", "app"];

export const nginx: Benchmark = {
  name: "nginx",
  title: "Files handed out by nginx from the mounts, against the same disk",
  explanation: `One nginx with the project's configuration (its access log off) has the same files in three folders: on the disk that holds
the copies, on the serve mount (\`--serve\`), and on the app's mount. All are warm, and unchanged for an hour as the bucket
sees it. wrk asks over ${CONNECTIONS} connections for ${SECONDS} s at a time, the three in turn.`,
  rounds: 3,
  async measure(cleaning, rounds, say) {
    const site = await makeSite(cleaning);
    const rows: string[][] = [];
    let passed = true;
    for (const page of PAGES) {
      say(page.title);
      for (const side of SIDES) await site.requestsPerSecond(side, page); // warm
      const figures: Record<Side, number[]> = { disk: [], serve: [], app: [] };
      for (let round = 0; round < rounds; round += 1)
        // Who begins changes, so that none always comes after the same other.
        for (const side of [...SIDES.slice(round % 3), ...SIDES.slice(0, round % 3)])
          figures[side].push(await site.requestsPerSecond(side, page));
      const disk = median(figures.disk);
      for (const side of ["serve", "app"] as const) {
        const mount = median(figures[side]);
        const ratio = mount / disk;
        passed &&= verdict(ratio, GOALS[side]) === "pass";
        rows.push([
          `${page.title}, ${side === "serve" ? "serve mount" : "app's mount"}`,
          `${mount.toFixed(0)}/s`,
          `${disk.toFixed(0)}/s`,
          ratio.toFixed(2),
          `≥ ${GOALS[side]}`,
          verdict(ratio, GOALS[side]),
        ]);
      }
    }
    return { headings: ["", "mount", "disk", "mount ÷ disk", "goal", ""], rows, passed };
  },
};

async function makeSite(cleaning: Cleaning): Promise<Site> {
  const server = await BucketServer.start(cleaning);
  const mount = await mounted(cleaning, server, ["--serve", SERVE_DIRECTORY]);
  const disk = path.join(path.dirname(mount.stateDirectory), "disk");
  for (const { folder, files, bytes } of PAGES) {
    const content = randomBytes(bytes);
    for (const top of [disk, mount.directory]) {
      await mkdir(path.join(top, folder), { recursive: true });
      for (let index = 0; index < files; index += 1)
        await writeFile(path.join(top, folder, `${index}.jpg`), content);
    }
  }
  await server.age(HOUR_MS);
  await delay(SETTLE_MS);
  const folders = { disk, serve: mount.serveDirectory, app: mount.directory };
  const { url } = await startWebServer(cleaning, { uploads: disk, folders, accessLog: false });
  const requestsPerSecond = async (side: Side, page: Page): Promise<number> => {
    const script = path.join(path.dirname(disk), `${page.folder}.lua`);
    await writeFile(script, askForEach(side, page));
    const { stdout } = await run("/usr/bin/wrk", [
      "-t1",
      `-c${CONNECTIONS}`,
      `-d${SECONDS}s`,
      "-s",
      script,
      url,
    ]);
    const wrong = /Non-2xx or 3xx responses: (\d+)|Socket errors: .*/.exec(stdout);
    if (wrong !== null) throw new Error(`${side}: ${wrong[0]}`);
    return Number(/Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1]);
  };
  return { ...folders, requestsPerSecond };
}

/** wrk's program: one file after the other. */
function askForEach(side: Side, { folder, files }: Page): string {
  return `local n = 0
request = function()
  n = (n + 1) % ${files}
  return wrk.format("GET", "/${side}/${folder}/" .. n .. ".jpg")
end
`;
}
