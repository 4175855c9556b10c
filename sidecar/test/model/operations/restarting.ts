// What happens to the mount and to programs: remounts, crashes, killed programs, dropped caches.

import fc from "fast-check";
import { writeFile } from "node:fs/promises";
import { operation } from "../operation.ts";
import { Difference } from "../run.ts";
import type { Run } from "../run.ts";
import type { Settings } from "../world.ts";
import { who } from "./draw.ts";

const passthrough = fc.boolean();
const trust = fc.constantFrom("0s" as const, "60s" as const, "sole-writer" as const);

function changed(run: Run, passthrough: boolean, trust: Settings["trust"]): Settings {
  return { ...run.world.settings, passthrough, trust };
}

const remount = operation(
  "remount",
  0.5,
  fc.record({ passthrough, trust, state: fc.constantFrom("kept" as const, "dropped" as const) }),
  async (run, { passthrough, trust, state }) => {
    await run.closeAll();
    const settings = changed(run, passthrough, trust);
    run.note(`stop and mount again, ${JSON.stringify(settings)}, state ${state}`);
    const code = await run.world.remount(settings, state);
    run.folderTimesLost = true;
    if (code !== 0) throw new Difference(`stopping ended with ${code}`);
    await run.compareTrees();
  },
);

const crash = operation("crash", 0.3, fc.record({ passthrough, trust }), async (run, drawn) => {
  await run.closeAll();
  await run.lateStoresArrived();
  const settings = changed(run, drawn.passthrough, drawn.trust);
  run.note(`kill the mount's processes and mount again, ${JSON.stringify(settings)}`);
  await run.world.mount.kill();
  await run.world.start(settings);
  run.folderTimesLost = true;
  await run.compareTrees();
});

const die = operation("kill a program", 1, who, async (run, who) => {
  run.note(`kill -9 ${who}`);
  for (const handle of run.handles.filter((each) => each.who === who)) run.dropHandle(handle);
  await Promise.all([run.world.onMount[who].kill(), run.world.onPlain[who].kill()]);
  await run.world.onMount[who].goTo(run.world.mount.path(run.top));
  await run.world.onPlain[who].goTo(run.plain);
});

const dropCaches = operation("drop the kernel's caches", 0.3, fc.constant(0), async (run) => {
  run.note("echo 3 > /proc/sys/vm/drop_caches");
  await writeFile("/proc/sys/vm/drop_caches", "3");
});

const rest = operation("wait", 1, fc.constantFrom(60, 120, 1200), async (run, milliseconds) => {
  run.note(`sleep ${milliseconds / 1000}`);
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
});

export const RESTARTING = [remount, crash, die, dropCaches, rest];
