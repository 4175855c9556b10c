import { execFile } from "node:child_process";
import { promisify } from "node:util";

import test from "ava";

const run = promisify(execFile);

for (const script of ["entrypoint.sh", "sidecar/bin/sidemount-live"]) {
  test(`${script} has nothing that shellcheck objects to, and is a program`, async (t) => {
    const { stdout } = await run("shellcheck", ["--shell=sh", script]).catch(
      (error: { stdout: string }) => error,
    );
    t.is(stdout, "");
    await t.notThrowsAsync(run("test", ["-x", script]));
  });
}
