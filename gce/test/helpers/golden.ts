// Files that hold what is expected to come out, to be read by people: a change in them is a change for somebody.
//
// UPDATE_GOLDEN=1 npm run test:deploy writes them anew; look at the difference before you commit it.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import type { ExecutionContext } from "ava";

const folder = new URL("../golden/", import.meta.url);

/** Compares `text` with the golden file `name`. */
export function matchesGolden(t: ExecutionContext, name: string, text: string): void {
  const file = new URL(name, folder);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  t.true(existsSync(file), `there is no golden file ${name}`);
  t.is(text, readFileSync(file, "utf8"), `differs from gce/test/golden/${name}`);
}
