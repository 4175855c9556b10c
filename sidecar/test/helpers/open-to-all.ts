// Whether every user of the machine can read a file.

import { statSync } from "node:fs";
import path from "node:path";

/** Whether everybody may pass through all folders above it, and into it. */
export function openToAll(file: string): boolean {
  const { mode } = statSync(file);
  const needed = (mode & 0o170000) === 0o040000 ? 0o001 : 0o004;
  if ((mode & needed) === 0) return false;
  const above = path.dirname(file);
  return above === file || openToAll(above);
}
