// A folder for one test.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import type { ExecutionContext } from "ava";

/** Gone when the test ends. */
export function temporaryFolder(t: ExecutionContext, what: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `sidemount-${what}-`));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
