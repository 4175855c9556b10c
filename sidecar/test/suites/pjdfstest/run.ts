// Runs pjdfstest in a folder of a mount.

import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { SUITE_PROGRAMS } from "../tools.ts";
import { readReport, type Case } from "./report.ts";

const run = promisify(execFile);

/** Users that every Debian has: pjdfstest acts as each of them. */
const USERS = [
  ["nobody", "nogroup"],
  ["daemon", "daemon"],
  ["bin", "bin"],
];
/** What is asked beyond the least that POSIX demands. */
const FEATURES = ["posix_fallocate", "rename_ctime", "stat_st_birthtime", "utime_now", "utimensat"];
/** Between two changes whose times are compared. The mount's own times are as fine as the clock. */
const NAP_SECONDS = 0.01;

/**
 * Runs the cases whose names contain `pattern`, all without one, in `folder`, which must be on a mount of its own: it
 * is made read-only for some. `scratch` is an empty folder on another file system.
 */
export async function runPjdfstest(folder: string, scratch: string, pattern?: string): Promise<Case[]> {
  const [configuration, otherFileSystem] = [
    path.join(scratch, "pjdfstest.toml"),
    path.join(scratch, "other"),
  ];
  await mkdir(otherFileSystem);
  await writeFile(configuration, configurationText(otherFileSystem));
  const words = ["--configuration-file", configuration, "--path", folder];
  if (pattern !== undefined) words.push("--", pattern);
  const report = await run(path.join(SUITE_PROGRAMS, "pjdfstest"), words, {
    env: { PATH: `${await withPlainMount(scratch)}:/usr/sbin:/usr/bin:/sbin:/bin`, RUST_BACKTRACE: "0" },
    maxBuffer: 64 << 20,
  }).catch((error: { stdout?: string; stderr?: string }) => {
    // It ends with 1 if a case failed, which is for others to judge; without a report it never began.
    if (error.stdout === undefined || error.stdout === "") throw error;
    return { stdout: error.stdout };
  });
  return readReport(report.stdout);
}

function configurationText(otherFileSystem: string): string {
  return `
[features]
${FEATURES.map((feature) => `${feature} = {}`).join("\n")}
secondary_fs = ${JSON.stringify(otherFileSystem)}
[settings]
naptime = ${NAP_SECONDS}
allow_remount = true
[dummy_auth]
entries = ${JSON.stringify(USERS)}
`;
}

// To make a mount read-only, mount(8) looks for a program of the name of the file system, which knows nothing of this.
// With -i it asks the kernel itself.
async function withPlainMount(scratch: string): Promise<string> {
  const folder = path.join(scratch, "bin");
  await mkdir(folder);
  await writeFile(path.join(folder, "mount"), '#!/bin/sh\nexec /bin/mount -i "$@"\n');
  await chmod(path.join(folder, "mount"), 0o755);
  return folder;
}
