// `npm run demo`: an app that only knows files, a web server, and a bucket they never hear of. Runs until Ctrl-C
// and leaves no mount and no process behind. With --check it is a client of its own and reports step by step.

import { rm } from "node:fs/promises";
import { relative } from "node:path";
import { runCheck } from "./acceptance/check.ts";
import { introduction } from "./demo/introduction.ts";
import { keyLine } from "./demo/key-lines.ts";
import { AlreadyRunning, noteOwn, takeOver } from "./demo/leftovers.ts";
import { demoPlace, furnish, logFile, type Place } from "./demo/place.ts";
import { portsFrom, PortsUnusable } from "./demo/ports.ts";
import { ServiceFailed } from "./demo/service.ts";
import { Stage } from "./demo/stage.ts";
import { followFile } from "./demo/tail.ts";

const usage = `Usage: npm run demo               an upload app on a bucket; stays until Ctrl-C
       npm run demo -- --check    the same on free ports and in a temporary folder; acts the acceptance list
       npm run demo -- --check WORD…    only the steps whose number or title contains one of the words`;

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === "--check") return await withStop((stop) => runCheck(rest, stop));
  if (first === undefined) return await withStop(runDemo);
  console.error(usage);
  return first === "--help" || first === "-h" ? 0 : 2;
}

async function runDemo(stop: AbortSignal): Promise<number> {
  const say = (line: string) => console.log(line);
  const place = await demoPlace();
  const address = process.env["SIDEMOUNT_DEMO_ADDRESS"] || "127.0.0.1";
  let stage: Stage;
  try {
    await takeOver(place, say);
    stage = new Stage({ place, ports: await portsFrom(process.env, address), address, admin: false });
    await emptyLogs(place);
    await furnish(place);
    await noteOwn(place);
  } catch (error) {
    if (!(error instanceof AlreadyRunning || error instanceof PortsUnusable)) throw error;
    console.error(error.message);
    return 1;
  }

  let status = 0;
  const follow: (() => void)[] = [];
  try {
    say("Starting the bucket server, the mount, the app and nginx …");
    await stage.start(stop);
    say(introduction(stage));
    for (const name of ["app", "mount"]) {
      follow.push(followFile(logFile(place, name), (line) => keyLine(name, line, say)));
    }
    const failure = await Promise.race([stage.death, aborted(stop)]);
    if (failure) throw failure;
  } catch (error) {
    if (!stop.aborted) {
      status = 1;
      report(error);
    }
  }
  for (const end of follow) end();
  say(status === 0 ? "\nStopping …" : "Stopping the rest …");
  await stage.close();
  say("Stopped. What was uploaded is in the bucket, for the next start.");
  return status;
}

/** The logs are those of the latest start. */
async function emptyLogs(place: Place): Promise<void> {
  await rm(place.logs, { recursive: true, force: true });
}

function report(error: unknown): void {
  if (!(error instanceof ServiceFailed)) {
    console.error(error);
    return;
  }
  const { logFile: file } = error.service.options;
  const last = error.service.said().trimEnd().split("\n").slice(-15);
  console.error(`\n${error.message}. The end of ${relative(process.cwd(), file)}:`);
  for (const line of last) console.error(`  ${line}`);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

/** Runs `work` with a signal for "time to stop": Ctrl-C, a signal, or the end of the process that started us. */
async function withStop(work: (stop: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  const onSignal = () => stop.abort(); // again and again if need be: stopping is under way
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  const parent = process.ppid;
  const orphaned = setInterval(() => process.ppid !== parent && stop.abort(), 1000);
  try {
    return await work(stop.signal);
  } finally {
    clearInterval(orphaned);
  }
}

process.exit(await main(process.argv.slice(2)));
