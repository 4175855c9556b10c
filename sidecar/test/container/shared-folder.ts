// A folder of this machine in which mounts made by one container are seen by others and by us.

import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

import { run } from "../../../scripts/acceptance/programs.ts";
import { unmountWithin } from "../../../scripts/demo/mounts.ts";
import { workplace } from "../../../scripts/container/workplace.ts";
import type { Cleaning } from "../helpers/cleanups.ts";

/** Makes one, gone at the end with all that is mounted in it. Answers with its path. */
export async function sharedFolder(cleaning: Cleaning): Promise<string> {
  const directory = await mkdtemp(join(workplace(), "shared-"));
  await chmod(directory, 0o755);
  cleaning.teardown(async () => {
    await unmountWithin(directory);
    await rm(directory, { recursive: true, force: true });
  });
  // Under systemd everything is shared already, elsewhere nothing is; a mount of its own can say so for itself.
  for (const command of [
    ["mount", "--bind", directory, directory],
    ["mount", "--make-shared", directory],
  ]) {
    const { status, stderr } = await run(command);
    if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  }
  return directory;
}
