// Places where a test can have the process killed. The environment variable SIDEMOUNT_FAIL_POINT_FILE names a file; while
// it is there, its words say which place ("name"), the how many-th time it is passed ("name 3"), and how many processes
// die there ("name 1 3"). The last one that does takes the file away, so that its successor lives. Without the variable
// nothing is looked at.

import { readFileSync, rmSync, writeFileSync } from "node:fs";

const file = process.env["SIDEMOUNT_FAIL_POINT_FILE"];
const passed = new Map<string, number>();

/** Dies here, as by `kill -9`, if this is the place and the time. */
export function failPoint(name: string): void {
  if (file === undefined) return;
  const [place = "", times = "1", deaths = "1"] = armed(file);
  if (place !== name) return;
  const count = (passed.get(name) ?? 0) + 1;
  passed.set(name, count);
  if (count < Number(times)) return;
  if (Number(deaths) > 1) writeFileSync(file, `${place} ${times} ${Number(deaths) - 1}`);
  else rmSync(file, { force: true });
  process.kill(process.pid, "SIGKILL");
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // not one step further
}

function armed(path: string): string[] {
  try {
    return readFileSync(path, "utf8").trim().split(" ");
  } catch {
    return [];
  }
}
